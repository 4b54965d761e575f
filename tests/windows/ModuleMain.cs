// Copyright: riposte.active_response contributors
// SPDX-License-Identifier: GPL-3.0-or-later
using System;
using System.Collections.Generic;
using Ansible.Basic;

namespace Riposte.ActiveResponse.Tests
{
    /// <summary>
    /// Runs the module as its .ps1 does, once for each argument file, against one stand-in firewall: one JSON result a line.
    /// What other programs do to the firewall between two runs is said by an argument that is not a file: "profile-off".
    /// </summary>
    public static class ModuleMain
    {
        private class ExitException : Exception { }

        public static int Main(string[] arguments)
        {
            AnsibleModule.WriteLine = Console.WriteLine;
            AnsibleModule.Exit = delegate(int code) { throw new ExitException(); };
            StandInPolicy policy = new StandInPolicy();
            foreach (string argument in arguments)
            {
                if (argument == "profile-off")
                    policy.OffProfile = 2;
                else if (argument == "service-stopped")
                    policy.ServiceStopped = true;
                else if (argument == "dump")
                    Console.WriteLine(AnsibleModule.ToJson(policy.TheRules.Dump()));
                else
                    RunOnce(policy, argument);
            }
            return 0;
        }

        private static void RunOnce(StandInPolicy policy, string argumentFile)
        {
            try
            {
                AnsibleModule module = AnsibleModule.Create(new string[] { argumentFile }, FirewallDropModule.Spec());
                List<GuardEntry> host = new List<GuardEntry> { new GuardEntry("session", "where a session on this host comes from", Address.Parse("192.0.2.77")) };
                string failure = FirewallDropModule.Run(module, new WindowsFirewall(policy, policy.NewRule), host, 1767225600);
                if (failure != null)
                    module.FailJson(failure);
                module.ExitJson();
            }
            catch (ExitException)
            {
                return;  // the module has written its result
            }
        }
    }
}
