// Copyright: riposte.active_response contributors
// SPDX-License-Identifier: GPL-3.0-or-later
using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using Ansible.Basic;

#if NEVER  // read by ansible-core's search for module utils, skipped by the compiler
using ansible_collections.riposte.active_response.plugins.module_utils.Address;
using ansible_collections.riposte.active_response.plugins.module_utils.Firewall;
using ansible_collections.riposte.active_response.plugins.module_utils.FirewallDrop;
using ansible_collections.riposte.active_response.plugins.module_utils.Guard;
using ansible_collections.riposte.active_response.plugins.module_utils.Lifetime;
using ansible_collections.riposte.active_response.plugins.module_utils.WindowsFirewall;
#endif

namespace Riposte.ActiveResponse
{
    /// <summary>The module win_firewall_drop: options in, results out. The .ps1 calls Spec, Run and then ExitJson or FailJson.</summary>
    public static class FirewallDropModule
    {
        private static readonly string[] Outcomes = { "done", "unchanged", "refused", "held", "failed" };

        /// <summary>The argument spec; Ansible.Basic wants a Hashtable at each level.</summary>
        public static Hashtable Spec()
        {
            Hashtable options = new Hashtable();
            options["targets"] = Table("type", "list", "elements", "str", "required", true);
            options["state"] = Table("type", "str", "default", "present", "choices", new object[] { "present", "absent" });
            options["timeout"] = Table("type", "str");
            options["until"] = Table("type", "str");
            options["permanent"] = Table("type", "bool", "default", false);
            options["since"] = Table("type", "str");
            options["reason"] = Table("type", "str", "default", "");
            options["alert_id"] = Table("type", "str", "default", "");
            options["protect"] = Table("type", "list", "elements", "str", "default", new object[0]);
            options["override"] = Table("type", "list", "elements", "str", "default", new object[0]);
            return Table("options", options, "supports_check_mode", true);
        }

        /// <summary>Runs against this host; returns why the task fails, or null. Never leaves through the module itself: see the .ps1.</summary>
        public static string Run(AnsibleModule module)
        {
            try
            {
                return Run(module, WindowsFirewall.Open(), WindowsHost.Entries(), Lifetime.Now());
            }
            catch (FirewallException error)
            {
                return error.Message;
            }
        }

        /// <summary>The same with the host handed in.</summary>
        public static string Run(AnsibleModule module, IFirewall firewall, IEnumerable<GuardEntry> host, long now)
        {
            List<DropResult> results;
            try
            {
                DropRequest request = Request(module, now);
                Guard guard = new Guard(host, Texts(module, "protect"), Texts(module, "override"));
                // No tick exists for Windows yet, so nothing would end a block on time.
                results = new FirewallDrop(firewall, guard, false, now).Run(request);
            }
            catch (BadInputException error)
            {
                return error.Message;
            }
            catch (FirewallException error)
            {
                return error.Message + "; nothing is known about what is in force";
            }
            Report(module, results);
            return Failure(results);
        }

        private static DropRequest Request(AnsibleModule module, long now)
        {
            string timeout = Text(module, "timeout"), until = Text(module, "until"), since = Text(module, "since");
            bool permanent = (bool)module.Params["permanent"];
            bool release = Text(module, "state") == "absent";
            if (release && (timeout != null || until != null || since != null || permanent))
                throw new BadInputException("state", "absent", "release", "a release takes no timeout, until, since or permanent");
            return new DropRequest
            {
                Targets = Texts(module, "targets"),
                Wanted = release ? null : Lifetime.Read(now, timeout, until, permanent, since),
                Reason = Cut(Text(module, "reason"), 500),
                AlertId = Cut(Text(module, "alert_id"), 100),
                Check = module.CheckMode,
            };
        }

        private static string Cut(string value, int most)
        {
            return value == null || value.Length <= most ? value : value.Substring(0, most);
        }

        private static void Report(AnsibleModule module, List<DropResult> results)
        {
            List<object> responses = new List<object>();
            Dictionary<string, object> summary = new Dictionary<string, object>();
            List<string> before = new List<string>(), after = new List<string>();
            bool changed = false;
            foreach (string outcome in Outcomes)
                summary[outcome] = 0;
            foreach (DropResult result in results)
            {
                responses.Add(Entry(result, Text(module, "state")));
                summary[result.Outcome] = (int)summary[result.Outcome] + 1;
                changed = changed || result.Changed;
                if (result.Changed && result.Before != null)
                    before.Add(result.Before + "\n");
                if (result.Changed && result.After != null)
                    after.Add(result.After + "\n");
            }
            module.Result["changed"] = changed;
            module.Result["responses"] = responses;
            module.Result["summary"] = summary;
            module.Diff["before"] = String.Concat(before.ToArray());
            module.Diff["after"] = String.Concat(after.ToArray());
        }

        private static Dictionary<string, object> Entry(DropResult result, string state)
        {
            Dictionary<string, object> entry = new Dictionary<string, object>();
            RuleRecord record = result.Record;
            entry["id"] = record == null ? null : record.Id;
            entry["response"] = "firewall_drop";
            entry["target"] = result.Target;
            entry["state"] = state;
            entry["outcome"] = result.Outcome;
            entry["changed"] = result.Changed;
            entry["backend"] = FirewallDrop.Backend;
            entry["since"] = record == null ? null : Lifetime.Text(record.Since);
            entry["until"] = record == null ? null : Lifetime.Text(record.Until);
            entry["message"] = result.Message;
            entry["in_force"] = result.InForce;
            entry["persisted"] = true;  // the record is part of the rules
            return entry;
        }

        /// <summary>Good entries are done; then bad and refused ones fail a direct call, each with its reason.</summary>
        private static string Failure(List<DropResult> results)
        {
            List<string> wrong = new List<string>();
            foreach (DropResult result in results)
                if (result.Outcome == "failed" || result.Outcome == "refused")
                    wrong.Add(result.Outcome + ": " + result.Message);
            if (wrong.Count == 0)
                return null;
            int shown = Math.Min(wrong.Count, 10);
            string more = wrong.Count > shown ? String.Format(CultureInfo.InvariantCulture, "; and {0} more", wrong.Count - shown) : "";
            return String.Format(CultureInfo.InvariantCulture, "{0} of {1} targets were not acted on: {2}{3}",
                wrong.Count, results.Count, String.Join("; ", wrong.GetRange(0, shown).ToArray()), more);
        }

        private static string Text(AnsibleModule module, string name)
        {
            return (string)module.Params[name];
        }

        private static List<string> Texts(AnsibleModule module, string name)
        {
            List<string> texts = new List<string>();
            IEnumerable values = (IEnumerable)module.Params[name];
            if (values != null)
                foreach (object value in values)
                    texts.Add((string)value);
            return texts;
        }

        private static Hashtable Table(params object[] pairs)
        {
            Hashtable table = new Hashtable();
            for (int i = 0; i < pairs.Length; i += 2)
                table[pairs[i]] = pairs[i + 1];
            return table;
        }
    }
}
