// Copyright: riposte.active_response contributors
// SPDX-License-Identifier: GPL-3.0-or-later
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

#if NEVER  // read by ansible-core's search for module utils, skipped by the compiler
using ansible_collections.riposte.active_response.plugins.module_utils.Address;
using ansible_collections.riposte.active_response.plugins.module_utils.Lifetime;
#endif

namespace Riposte.ActiveResponse
{
    /// <summary>The firewall could not be read or changed, or said something that cannot be understood.</summary>
    public class FirewallException : Exception
    {
        public FirewallException(string message, Exception cause) : base(message, cause) { }
    }

    /// <summary>One rule as the firewall has it; the numbers are those of INetFwRule.</summary>
    public sealed class FirewallRule
    {
        public const string Group = "riposte.active_response";
        public const int In = 1, Out = 2, Block = 0, AllProfiles = 0x7fffffff, AnyProtocol = 256;

        public string Name;
        public string Grouping = Group;
        public string Description;
        public int Direction;
        public int Action = Block;
        public int Protocol = AnyProtocol;
        public int Profiles = AllProfiles;
        public bool Enabled = true;
        public string RemoteAddresses;
        public string LocalAddresses = "*";
        public string InterfaceTypes = "All";
        public string ApplicationName = "";
        public string ServiceName = "";

        /// <summary>The name is ours and unique: two rules stand for one target, one a direction.</summary>
        public static string NameOf(int direction, Address target)
        {
            return "riposte:" + (direction == In ? "in:" : "out:") + target;
        }

        /// <summary>The target that a rule's name says it blocks, or null when the name is not ours.</summary>
        public static string TargetOf(string name)
        {
            foreach (string start in new string[] { "riposte:in:", "riposte:out:" })
                if (name != null && name.StartsWith(start, StringComparison.Ordinal))
                    return name.Substring(start.Length);
            return null;
        }

        public static FirewallRule Blocking(int direction, Address target, string description)
        {
            return new FirewallRule { Name = NameOf(direction, target), Direction = direction, RemoteAddresses = target.ToString(), Description = description };
        }

        /// <summary>Whether this rule blocks all traffic of one direction with exactly this target.</summary>
        public bool Blocks(int direction, Address target)
        {
            return Grouping == Group && Enabled && Direction == direction && Action == Block && Protocol == AnyProtocol && Profiles == AllProfiles
                && LocalAddresses == "*" && InterfaceTypes == "All" && String.IsNullOrEmpty(ApplicationName) && String.IsNullOrEmpty(ServiceName)
                && AddressSet.Is(RemoteAddresses, target);
        }
    }

    /// <summary>What the engine needs of a firewall. Every member throws FirewallException when it fails.</summary>
    public interface IFirewall
    {
        /// <summary>All rules whose name is one of ours, duplicates too.</summary>
        List<FirewallRule> Ours();

        void Add(FirewallRule rule);

        /// <summary>Removes one rule of this name; names are not unique.</summary>
        void Remove(string name);

        /// <summary>Sets the description of the rule of this name.</summary>
        void Describe(string name, string description);

        /// <summary>Why rules that stand would not be enforced now (profile off, group policy), or null.</summary>
        string WhyNotEnforced();
    }

    /// <summary>
    /// An address list as a firewall returns it, compared as a set: what was put in as 203.0.113.9 is known to come back as
    /// 203.0.113.9/255.255.255.255, and networks as masks or ranges.
    /// </summary>
    public static class AddressSet
    {
        private sealed class Range
        {
            public byte[] First;
            public byte[] Last;
        }

        /// <summary>Whether the list holds exactly the addresses of the target. A keyword, "*" or anything not understood: no.</summary>
        public static bool Is(string list, Address target)
        {
            List<Range> ranges = new List<Range>();
            foreach (string token in (list ?? "").Split(','))
            {
                Range range = Read(token.Trim());
                if (range == null)
                    return false;
                ranges.Add(range);
            }
            Range whole = Joined(ranges);
            return whole != null && whole.First.Length == target.First.Length
                && Address.Compare(whole.First, target.First) == 0 && Address.Compare(whole.Last, target.Last) == 0;
        }

        private static Range Read(string token)
        {
            int dash = token.IndexOf('-');
            if (dash >= 0)
                return Between(Address.Bytes(token.Substring(0, dash)), Address.Bytes(token.Substring(dash + 1)));
            int slash = token.IndexOf('/');
            byte[] bytes = Address.Bytes(slash < 0 ? token : token.Substring(0, slash));
            if (bytes == null)
                return null;
            int prefix = slash < 0 ? bytes.Length * 8 : PrefixLength(token.Substring(slash + 1), bytes.Length);
            if (prefix < 0)
                return null;
            return new Range { First = Edge(bytes, prefix, false), Last = Edge(bytes, prefix, true) };
        }

        private static Range Between(byte[] first, byte[] last)
        {
            if (first == null || last == null || first.Length != last.Length || Address.Compare(first, last) > 0)
                return null;
            return new Range { First = first, Last = last };
        }

        /// <summary>The first or last address of the network that bytes is in; a host may be written with a network's mask.</summary>
        private static byte[] Edge(byte[] bytes, int prefix, bool last)
        {
            byte[] edge = (byte[])bytes.Clone();
            for (int bit = prefix; bit < edge.Length * 8; bit++)
            {
                byte mask = (byte)(0x80 >> (bit % 8));
                edge[bit / 8] = (byte)(last ? edge[bit / 8] | mask : edge[bit / 8] & ~mask);
            }
            return edge;
        }

        private static int PrefixLength(string text, int length)
        {
            byte[] mask = Address.Bytes(text);
            if (mask == null)
                return Address.Number(text, length * 8);
            int ones = 0;
            while (ones < mask.Length * 8 && (mask[ones / 8] & (0x80 >> (ones % 8))) != 0)
                ones++;
            bool contiguous = Address.Compare(Edge(mask, ones, false), mask) == 0;
            return mask.Length == length && contiguous ? ones : -1;
        }

        /// <summary>The ranges as one, or null where they leave a hole or are of two families.</summary>
        private static Range Joined(List<Range> ranges)
        {
            ranges.Sort(delegate(Range one, Range other)
            {
                return one.First.Length != other.First.Length ? one.First.Length - other.First.Length : Address.Compare(one.First, other.First);
            });
            Range whole = null;
            foreach (Range range in ranges)
            {
                if (whole == null)
                    whole = range;
                else if (whole.First.Length != range.First.Length || Address.Compare(range.First, Next(whole.Last)) > 0)
                    return null;
                else if (Address.Compare(range.Last, whole.Last) > 0)
                    whole = new Range { First = whole.First, Last = range.Last };
            }
            return whole;
        }

        private static byte[] Next(byte[] bytes)
        {
            byte[] next = (byte[])bytes.Clone();
            for (int i = next.Length - 1; i >= 0; i--)
                if (++next[i] != 0)
                    return next;
            return bytes;  // the last address of all has no next
        }
    }

    /// <summary>
    /// What is recorded of a response. It lives in the description of the rules themselves, so it cannot be lost apart from them.
    /// Free text is stored escaped: a rule's text may not hold '|', and it may come from an attacker.
    /// </summary>
    public sealed class RuleRecord
    {
        private const string Start = "riposte/1";

        public readonly string Id;
        public readonly long Since;
        public readonly long Until;
        public readonly string AlertId;
        public readonly string Reason;

        public RuleRecord(string id, long since, long until, string alertId, string reason)
        {
            Id = id;
            Since = since;
            Until = until;
            AlertId = alertId;
            Reason = reason;
        }

        public RuleRecord WithUntil(long until)
        {
            return new RuleRecord(Id, Since, until, AlertId, Reason);
        }

        public override string ToString()
        {
            return String.Format(CultureInfo.InvariantCulture, "{0} id={1} since={2} until={3} alert_id={4} reason={5}",
                Start, Id, Since, Until == Lifetime.Permanent ? "permanent" : Until.ToString(CultureInfo.InvariantCulture), Escaped(AlertId), Escaped(Reason));
        }

        /// <summary>The record in a description, or null: then somebody else wrote it and nothing is known.</summary>
        public static RuleRecord Parse(string description)
        {
            string[] parts = (description ?? "").Split(' ');
            if (parts.Length != 6 || parts[0] != Start)
                return null;
            Dictionary<string, string> values = new Dictionary<string, string>();
            foreach (string part in parts)
                if (part.IndexOf('=') > 0)
                    values[part.Substring(0, part.IndexOf('='))] = part.Substring(part.IndexOf('=') + 1);
            string id, since, until, alertId, reason;
            if (!values.TryGetValue("id", out id) || !values.TryGetValue("since", out since) || !values.TryGetValue("until", out until)
                || !values.TryGetValue("alert_id", out alertId) || !values.TryGetValue("reason", out reason))
                return null;
            long begin = 0;
            long end = Lifetime.Permanent;
            if (!Moment(since, out begin) || (until != "permanent" && !Moment(until, out end)))
                return null;
            return new RuleRecord(id, begin, end, Unescaped(alertId), Unescaped(reason));
        }

        private static bool Moment(string text, out long moment)
        {
            moment = 0;
            return text.Length <= 11 && Int64.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out moment);
        }

        private static string Escaped(string text)
        {
            StringBuilder escaped = new StringBuilder();
            foreach (byte b in Encoding.UTF8.GetBytes(text ?? ""))
            {
                bool plain = (b >= '0' && b <= '9') || (b >= 'A' && b <= 'Z') || (b >= 'a' && b <= 'z') || b == '.' || b == '-' || b == '_' || b == ':';
                if (plain)
                    escaped.Append((char)b);
                else
                    escaped.AppendFormat(CultureInfo.InvariantCulture, "%{0:x2}", b);
            }
            return escaped.ToString();
        }

        private static string Unescaped(string text)
        {
            List<byte> bytes = new List<byte>();
            for (int i = 0; i < text.Length; i++)
            {
                byte escaped;
                if (text[i] == '%' && i + 2 < text.Length
                    && Byte.TryParse(text.Substring(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out escaped))
                {
                    bytes.Add(escaped);
                    i += 2;
                }
                else
                    bytes.Add((byte)text[i]);
            }
            return Encoding.UTF8.GetString(bytes.ToArray());
        }
    }
}
