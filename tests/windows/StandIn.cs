// Copyright: riposte.active_response contributors
// SPDX-License-Identifier: GPL-3.0-or-later
using System;
using System.Collections;
using System.Collections.Generic;
using System.IO;
using System.Net;
using System.Net.Sockets;

namespace Riposte.ActiveResponse.Tests
{
    /// <summary>
    /// Stands in for the COM object HNetCfg.FwPolicy2: same member names, keeps state, rejects what the real one is documented to
    /// reject, and returns addresses in another spelling than it got. Its reading of addresses is not the engine's.
    /// </summary>
    public class StandInPolicy
    {
        public readonly StandInRules TheRules = new StandInRules();
        public int ModifyState;
        public int OffProfile;
        public bool ServiceStopped;

        public StandInRules Rules
        {
            get
            {
                if (ServiceStopped)
                    throw new InvalidOperationException("There are no more endpoints available from the endpoint mapper.");
                return TheRules;
            }
        }

        public int LocalPolicyModifyState { get { return ModifyState; } }

        public int CurrentProfileTypes { get { return 2; } }

        public bool FirewallEnabled(int profile)
        {
            return profile != OffProfile;
        }

        public object NewRule()
        {
            return new StandInRule(TheRules);
        }
    }

    public class StandInRules : IEnumerable
    {
        private readonly List<StandInRule> rules = new List<StandInRule>();

        /// <summary>How single addresses and networks come back: mask, prefix or range.</summary>
        public string Spelling = "mask";
        public int Adds;
        public int FailingAdd;
        public bool LosesWhatIsAdded;
        public bool DisablesWhatIsAdded;
        public bool KeepsWhatIsRemoved;

        public IEnumerator GetEnumerator()
        {
            return new List<StandInRule>(rules).GetEnumerator();
        }

        public void Add(StandInRule rule)
        {
            Adds++;
            if (Adds == FailingAdd)
                throw new UnauthorizedAccessException("Access is denied. (Exception from HRESULT: 0x80070005 (E_ACCESSDENIED))");
            if (rule.Name == null || rule.Direction == 0)
                throw new ArgumentException("Value does not fall within the expected range.");
            rule.Enabled = rule.Enabled && !DisablesWhatIsAdded;
            if (!LosesWhatIsAdded)
                rules.Add(rule);  // names are not unique there either
        }

        public void Remove(string name)
        {
            StandInRule rule = Item(name);
            if (!KeepsWhatIsRemoved)
                rules.Remove(rule);
        }

        public StandInRule Item(string name)
        {
            StandInRule found = rules.Find(delegate(StandInRule rule) { return String.Equals(rule.Name, name, StringComparison.OrdinalIgnoreCase); });
            if (found == null)
                throw new FileNotFoundException("The system cannot find the file specified. (Exception from HRESULT: 0x80070002)");
            return found;
        }

        /// <summary>Everything there is, for before and after.</summary>
        public string Dump()
        {
            List<string> lines = rules.ConvertAll(delegate(StandInRule rule) { return rule.Dump(); });
            lines.Sort(StringComparer.Ordinal);
            return String.Join("\n", lines.ToArray());
        }
    }

    public class StandInRule
    {
        private readonly StandInRules owner;
        private string name;
        private string description;
        private string remote = "*";

        public StandInRule(StandInRules owner)
        {
            this.owner = owner;
            LocalAddresses = "*";
            InterfaceTypes = "All";
            Protocol = 256;
            Profiles = 0x7fffffff;
            Action = 1;
        }

        public string Name
        {
            get { return name; }
            set
            {
                if (String.IsNullOrEmpty(value) || value.IndexOf('|') >= 0 || value.ToLowerInvariant() == "all")
                    throw new ArgumentException("Value does not fall within the expected range.");
                name = value;
            }
        }

        public string Description
        {
            get { return description; }
            set
            {
                if (value.IndexOf('|') >= 0)
                    throw new ArgumentException("Value does not fall within the expected range.");
                description = value;
            }
        }

        public string RemoteAddresses
        {
            get { return remote; }
            set { remote = value == "*" ? value : Respelled(value); }
        }

        public string Grouping { get; set; }
        public int Direction { get; set; }
        public int Action { get; set; }
        public int Protocol { get; set; }
        public int Profiles { get; set; }
        public bool Enabled { get; set; }
        public string LocalAddresses { get; set; }
        public string InterfaceTypes { get; set; }
        public string ApplicationName { get; set; }
        public string ServiceName { get; set; }

        public string Dump()
        {
            return String.Join(";", new string[]
            {
                name, Grouping, description, Direction.ToString(), Action.ToString(), Protocol.ToString(), Profiles.ToString(), Enabled.ToString(),
                remote, LocalAddresses, InterfaceTypes, ApplicationName, ServiceName
            });
        }

        private string Respelled(string value)
        {
            string[] parts = value.Split('/');
            IPAddress address;
            int prefix = 0;
            if (parts.Length > 2 || !IPAddress.TryParse(parts[0], out address) || (parts.Length == 2 && !Int32.TryParse(parts[1], out prefix)))
                throw new ArgumentException("Value does not fall within the expected range.");
            bool four = address.AddressFamily == AddressFamily.InterNetwork;
            int bits = four ? 32 : 128;
            prefix = parts.Length == 1 ? bits : prefix;
            if (owner.Spelling == "range" || (owner.Spelling == "mask" && !four))
                return Bound(address, prefix, false) + "-" + Bound(address, prefix, true);
            if (owner.Spelling == "mask")
                return address + "/" + Bound(new IPAddress(new byte[4]), prefix, true, true);
            return address + "/" + prefix;
        }

        private static IPAddress Bound(IPAddress address, int prefix, bool last, bool inverted = false)
        {
            byte[] bytes = address.GetAddressBytes();
            for (int bit = prefix; bit < bytes.Length * 8; bit++)
                if (last)
                    bytes[bit / 8] |= (byte)(0x80 >> (bit % 8));
            for (int i = 0; inverted && i < bytes.Length; i++)
                bytes[i] = (byte)~bytes[i];
            return new IPAddress(bytes);
        }
    }
}
