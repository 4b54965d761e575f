// Copyright: riposte.active_response contributors
// SPDX-License-Identifier: GPL-3.0-or-later
using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Reflection;
using System.Runtime.InteropServices;

#if NEVER  // read by ansible-core's search for module utils, skipped by the compiler
using ansible_collections.riposte.active_response.plugins.module_utils.Address;
using ansible_collections.riposte.active_response.plugins.module_utils.Firewall;
using ansible_collections.riposte.active_response.plugins.module_utils.Guard;
#endif

namespace Riposte.ActiveResponse
{
    /// <summary>
    /// The Windows firewall through the COM object HNetCfg.FwPolicy2 (the same on each language of Windows, unlike netsh's text).
    /// Members are called by name: this needs no reference beyond mscorlib, and tests can hand in plain objects.
    /// NOT RUN ON A REAL WINDOWS YET.
    /// </summary>
    public sealed class WindowsFirewall : IFirewall
    {
        // NET_FW_MODIFY_STATE_GP_OVERRIDE: local rules do not take effect.
        private const int OverriddenByPolicy = 1;

        private static readonly string[] ProfileNames = { "domain", "private", "public" };

        private readonly object policy;
        private readonly Func<object> newRule;

        public WindowsFirewall(object policy, Func<object> newRule)
        {
            this.policy = policy;
            this.newRule = newRule;
        }

        /// <summary>This host's firewall; FirewallException when it cannot be reached.</summary>
        public static WindowsFirewall Open()
        {
            return new WindowsFirewall(Create("HNetCfg.FwPolicy2"), delegate { return Create("HNetCfg.FWRule"); });
        }

        public List<FirewallRule> Ours()
        {
            List<FirewallRule> ours = new List<FirewallRule>();
            foreach (object rule in (IEnumerable)Rules)
                if (FirewallRule.TargetOf(Text(rule, "Name")) != null)
                    ours.Add(Read(rule));
            return ours;
        }

        public void Add(FirewallRule rule)
        {
            object made = newRule();
            Set(made, "Name", rule.Name);
            Set(made, "Grouping", rule.Grouping);
            Set(made, "Description", rule.Description);
            Set(made, "Direction", rule.Direction);
            Set(made, "Action", rule.Action);
            Set(made, "Protocol", rule.Protocol);
            Set(made, "Profiles", rule.Profiles);
            Set(made, "RemoteAddresses", rule.RemoteAddresses);
            Set(made, "Enabled", rule.Enabled);
            Get(Rules, "Add", made);
        }

        public void Remove(string name)
        {
            Get(Rules, "Remove", name);
        }

        public void Describe(string name, string description)
        {
            Set(Get(Rules, "Item", name), "Description", description);
        }

        public string WhyNotEnforced()
        {
            if (Number(policy, "LocalPolicyModifyState") == OverriddenByPolicy)
                return "a group policy overrides the rules of this host (LocalPolicyModifyState is 1)";
            int inUse = Number(policy, "CurrentProfileTypes");
            for (int i = 0; i < ProfileNames.Length; i++)
                if ((inUse & (1 << i)) != 0 && !(bool)Get(policy, "FirewallEnabled", 1 << i))
                    return "the firewall is off for the " + ProfileNames[i] + " profile, which is in use";
            return null;
        }

        private object Rules { get { return Get(policy, "Rules"); } }

        private static FirewallRule Read(object rule)
        {
            return new FirewallRule
            {
                Name = Text(rule, "Name"),
                Grouping = Text(rule, "Grouping"),
                Description = Text(rule, "Description"),
                Direction = Number(rule, "Direction"),
                Action = Number(rule, "Action"),
                Protocol = Number(rule, "Protocol"),
                Profiles = Number(rule, "Profiles"),
                Enabled = (bool)Get(rule, "Enabled"),
                RemoteAddresses = Text(rule, "RemoteAddresses"),
                LocalAddresses = Text(rule, "LocalAddresses"),
                InterfaceTypes = Text(rule, "InterfaceTypes"),
                ApplicationName = Text(rule, "ApplicationName"),
                ServiceName = Text(rule, "ServiceName"),
            };
        }

        private static object Create(string programId)
        {
            try
            {
                Type type = Type.GetTypeFromProgID(programId, true);
                return Activator.CreateInstance(type);
            }
            catch (Exception error)  // one of many types, by Windows version; none may pass for an empty firewall
            {
                throw new FirewallException(programId + " cannot be created (" + error.Message.Trim() + "); is the service MpsSvc running?", error);
            }
        }

        private static string Text(object target, string name)
        {
            return Convert.ToString(Get(target, name), CultureInfo.InvariantCulture);
        }

        private static int Number(object target, string name)
        {
            return Convert.ToInt32(Get(target, name), CultureInfo.InvariantCulture);
        }

        private static object Get(object target, string name, params object[] arguments)
        {
            return Invoke(target, name, BindingFlags.GetProperty | BindingFlags.InvokeMethod, arguments);
        }

        private static void Set(object target, string name, object value)
        {
            Invoke(target, name, BindingFlags.SetProperty, new object[] { value });
        }

        private static object Invoke(object target, string name, BindingFlags kind, object[] arguments)
        {
            try
            {
                return target.GetType().InvokeMember(name, kind, null, target, arguments, CultureInfo.InvariantCulture);
            }
            catch (TargetInvocationException error)
            {
                throw Failed(name, arguments, error.InnerException);
            }
            catch (MissingMemberException error)
            {
                throw Failed(name, arguments, error);
            }
            catch (COMException error)
            {
                throw Failed(name, arguments, error);
            }
        }

        private static FirewallException Failed(string name, object[] arguments, Exception cause)
        {
            string about = arguments.Length == 1 ? " " + BadInputException.Shown(Convert.ToString(arguments[0], CultureInfo.InvariantCulture)) : "";
            return new FirewallException("Windows firewall, " + name + about + ": " + cause.Message.Trim(), cause);
        }
    }

    /// <summary>What this host must keep to stay reachable, as guard entries.</summary>
    public static class WindowsHost
    {
        // Where a session of Ansible comes in: SSH, WinRM over HTTP and HTTPS.
        private static readonly int[] SessionPorts = { 22, 5985, 5986 };

        public static List<GuardEntry> Entries()
        {
            List<GuardEntry> entries = new List<GuardEntry>();
            foreach (NetworkInterface network in NetworkInterface.GetAllNetworkInterfaces())
            {
                IPInterfaceProperties properties = network.GetIPProperties();
                foreach (UnicastIPAddressInformation own in properties.UnicastAddresses)
                    Add(entries, "own_address", "this host's own address", own.Address);
                foreach (GatewayIPAddressInformation gateway in properties.GatewayAddresses)
                    Add(entries, "gateway", "a gateway of this host", gateway.Address);
                foreach (IPAddress resolver in properties.DnsAddresses)
                    Add(entries, "resolver", "a name server of this host", resolver);
            }
            foreach (TcpConnectionInformation connection in IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpConnections())
                if (connection.State == TcpState.Established && Array.IndexOf(SessionPorts, connection.LocalEndPoint.Port) >= 0)
                    Add(entries, "session", "where a session on this host comes from", connection.RemoteEndPoint.Address);
            return entries;
        }

        private static void Add(List<GuardEntry> entries, string name, string what, IPAddress address)
        {
            byte[] bytes = address.GetAddressBytes();
            Address network = Address.FromBytes(bytes, bytes.Length * 8);
            if (Array.Exists(network.First, delegate(byte b) { return b != 0; }))  // an interface without gateway may say 0.0.0.0
                entries.Add(new GuardEntry(name, what, network));
        }
    }
}
