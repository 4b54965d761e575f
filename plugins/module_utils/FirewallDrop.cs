// Copyright: riposte.active_response contributors
// SPDX-License-Identifier: GPL-3.0-or-later
using System;
using System.Collections.Generic;
using System.Globalization;

#if NEVER  // read by ansible-core's search for module utils, skipped by the compiler
using ansible_collections.riposte.active_response.plugins.module_utils.Address;
using ansible_collections.riposte.active_response.plugins.module_utils.Firewall;
using ansible_collections.riposte.active_response.plugins.module_utils.Guard;
using ansible_collections.riposte.active_response.plugins.module_utils.Lifetime;
using ansible_collections.riposte.active_response.plugins.module_utils.Planner;
#endif

namespace Riposte.ActiveResponse
{
    /// <summary>What is asked: Wanted is null for a release.</summary>
    public sealed class DropRequest
    {
        public IList<string> Targets;
        public Lifetime Wanted;
        public string Reason = "";
        public string AlertId = "";
        public bool Check;
    }

    /// <summary>One target on its way from what was asked to what was read back.</summary>
    public sealed class DropResult
    {
        public string Target;
        public string Outcome = "failed";
        public bool Changed;
        public string Message = "";
        public RuleRecord Record;
        public string Before;
        public string After;
        public Dictionary<string, object> InForce;

        internal Address Address;
        internal Step Step;
    }

    /// <summary>
    /// The one place where a block happens on Windows: read, guard, plan, apply, read back. A block is two rules of the
    /// firewall, one a direction; its record lives in their descriptions.
    /// </summary>
    public sealed class FirewallDrop
    {
        public const string Backend = "windows_firewall";

        private readonly IFirewall firewall;
        private readonly Guard guard;
        private readonly bool endsAreKept;
        private readonly long now;

        /// <summary>endsAreKept: something on this host releases what is due; without it a lifetime that ends is refused.</summary>
        public FirewallDrop(IFirewall firewall, Guard guard, bool endsAreKept, long now)
        {
            this.firewall = firewall;
            this.guard = guard;
            this.endsAreKept = endsAreKept;
            this.now = now;
        }

        /// <summary>One result a distinct target, in the order asked. A bad target does not stop the others.</summary>
        public List<DropResult> Run(DropRequest request)
        {
            Dictionary<string, List<FirewallRule>> before = Read();
            string dormant = request.Wanted == null ? null : firewall.WhyNotEnforced();
            List<DropResult> results = new List<DropResult>();
            HashSet<string> seen = new HashSet<string>();
            foreach (string text in request.Targets)
            {
                DropResult result = Plan(text, request, before, dormant);
                if (seen.Add(result.Target))
                    results.Add(result);
            }
            foreach (DropResult result in results)
                if (result.Step != null && result.Step.Changed && !request.Check)
                    Apply(result, RulesOf(before, result.Target));
            if (request.Check)
                results.ForEach(Foretell);
            else
                ReadBack(results, request);
            return results;
        }

        private Dictionary<string, List<FirewallRule>> Read()
        {
            Dictionary<string, List<FirewallRule>> rules = new Dictionary<string, List<FirewallRule>>();
            foreach (FirewallRule rule in firewall.Ours())
            {
                string target = FirewallRule.TargetOf(rule.Name);
                if (!rules.ContainsKey(target))
                    rules[target] = new List<FirewallRule>();
                rules[target].Add(rule);
            }
            return rules;
        }

        private DropResult Plan(string text, DropRequest request, Dictionary<string, List<FirewallRule>> before, string dormant)
        {
            DropResult result = new DropResult();
            result.Target = text;
            try
            {
                result.Address = Address.Parse(text);
            }
            catch (BadInputException error)
            {
                result.Message = error.Message;
                return result;
            }
            result.Target = result.Address.ToString();
            List<FirewallRule> rules = RulesOf(before, result.Target);
            result.Before = result.After = Shown(result.Address, rules);
            result.Record = RecordOf(rules);
            FirewallRule foreign = rules.Find(delegate(FirewallRule rule) { return rule.Grouping != FirewallRule.Group; });
            if (foreign != null)
                result.Message = String.Format(CultureInfo.InvariantCulture, "{0}: the rule named {1} is not ours (its group is '{2}', ours is '{3}'); it is left alone, and so is this target: rename that rule",
                    result.Target, foreign.Name, foreign.Grouping, FirewallRule.Group);
            else if (request.Wanted == null)
                Decide(result, Planner.Release(KnownOf(result.Record, rules.Count > 0), now), null);
            else
                PlanBlock(result, request, rules, dormant);
            return result;
        }

        private void PlanBlock(DropResult result, DropRequest request, List<FirewallRule> rules, string dormant)
        {
            Refusal refusal = guard.Check(result.Address);
            bool inForce = InForce(result.Address, rules);
            Step step = Planner.Respond(request.Wanted, KnownOf(result.Record, inForce), now, refusal == null ? null : refusal.Entry);
            if (refusal != null)
                Decide(result, step, refusal.Message);
            else if (step.Changed && step.Until != Lifetime.Permanent && !endsAreKept)
                Decide(result, Step.Refused, result.Target + " is refused: nothing on this host would end the block at " + Lifetime.Text(step.Until)
                    + ", so it is not begun; say permanent: true and release it with state: absent");
            else if (dormant != null)
                result.Message = result.Target + ": a block would not be enforced: " + dormant + "; nothing was changed";
            else
            {
                Decide(result, step, null);
                bool goesOn = result.Record != null && step.Action != "add" && (result.Record.Until > now);
                result.Record = goesOn
                    ? result.Record.WithUntil(step.Until)
                    : new RuleRecord(request.Check ? null : NewId(), now, step.Until, request.AlertId, request.Reason);
            }
        }

        private static void Decide(DropResult result, Step step, string message)
        {
            result.Step = step;
            result.Outcome = step.Outcome;
            result.Message = message ?? "";
        }

        private void Apply(DropResult result, List<FirewallRule> rules)
        {
            try
            {
                if (result.Step.Action == "extend")
                    foreach (FirewallRule rule in rules)
                        firewall.Describe(rule.Name, result.Record.ToString());
                else
                    Replace(result, rules);
            }
            catch (FirewallException error)
            {
                result.Outcome = "failed";
                result.Message = result.Target + ": " + result.Step.Action + " failed: " + error.Message;
            }
        }

        /// <summary>Takes away all rules of the target; for a block puts the two in, or none of them.</summary>
        private void Replace(DropResult result, List<FirewallRule> rules)
        {
            foreach (FirewallRule rule in rules)
                firewall.Remove(rule.Name);
            if (result.Step.Action == "remove")
                return;
            firewall.Add(FirewallRule.Blocking(FirewallRule.In, result.Address, result.Record.ToString()));
            try
            {
                firewall.Add(FirewallRule.Blocking(FirewallRule.Out, result.Address, result.Record.ToString()));
            }
            catch (FirewallException)
            {
                firewall.Remove(FirewallRule.NameOf(FirewallRule.In, result.Address));
                throw;
            }
        }

        /// <summary>Check mode: what the run would report from this state.</summary>
        private static void Foretell(DropResult result)
        {
            if (result.Step == null || !result.Step.Changed)
                return;
            result.Changed = true;
            result.After = result.Step.Action == "remove" ? null : Line(result.Address, result.Step.Until);
        }

        private void ReadBack(List<DropResult> results, DropRequest request)
        {
            Dictionary<string, List<FirewallRule>> after = Read();
            string dormant = request.Wanted == null ? null : firewall.WhyNotEnforced();
            foreach (DropResult result in results)
            {
                if (result.Address == null)
                    continue;
                List<FirewallRule> rules = RulesOf(after, result.Target);
                result.After = Shown(result.Address, rules);
                result.Changed = result.Before != result.After;
                result.InForce = rules.Count == 0 ? null : Detail(result.Address, rules);
                if (result.Outcome == "done" || result.Outcome == "unchanged")
                    Judge(result, request, rules, dormant);
                if (request.Wanted != null)
                    result.Record = RecordOf(rules);
            }
        }

        /// <summary>An outcome stands only if the firewall was read to be so.</summary>
        private static void Judge(DropResult result, DropRequest request, List<FirewallRule> rules, string dormant)
        {
            string wrong = null;
            if (request.Wanted == null)
                wrong = rules.Count == 0 ? null : rules.Count.ToString(CultureInfo.InvariantCulture) + " rules for it are still there after the release";
            else if (!InForce(result.Address, rules))
                wrong = "its two rules are not in force after the change (another program or a group policy changed them?); it is not blocked";
            else if (RecordOf(rules) == null || RecordOf(rules).Until != result.Record.Until)
                wrong = "the rules do not carry the record that was written";
            else if (dormant != null)
                wrong = "its rules stand but are not enforced: " + dormant;
            if (wrong == null)
                return;
            result.Outcome = "failed";
            result.Message = result.Target + ": " + wrong;
        }

        private static Known KnownOf(RuleRecord record, bool inForce)
        {
            Known known = new Known { Recorded = record != null, InForce = inForce };
            if (record != null)
                known.RecordedUntil = record.Until;
            return known;
        }

        private static bool InForce(Address target, List<FirewallRule> rules)
        {
            return rules.Count == 2
                && rules.Exists(delegate(FirewallRule rule) { return rule.Name == FirewallRule.NameOf(FirewallRule.In, target) && rule.Blocks(FirewallRule.In, target); })
                && rules.Exists(delegate(FirewallRule rule) { return rule.Name == FirewallRule.NameOf(FirewallRule.Out, target) && rule.Blocks(FirewallRule.Out, target); });
        }

        /// <summary>The record that the rules carry; of two different ones that with the later end, since a move of the end may have been cut short.</summary>
        private static RuleRecord RecordOf(List<FirewallRule> rules)
        {
            RuleRecord latest = null;
            foreach (FirewallRule rule in rules)
            {
                RuleRecord record = RuleRecord.Parse(rule.Description);
                if (record != null && (latest == null || record.Until > latest.Until))
                    latest = record;
            }
            return latest;
        }

        private static List<FirewallRule> RulesOf(Dictionary<string, List<FirewallRule>> rules, string target)
        {
            List<FirewallRule> found;
            return rules.TryGetValue(target, out found) ? found : new List<FirewallRule>();
        }

        /// <summary>One line for the diff: what the firewall does about a target; null = nothing.</summary>
        private static string Shown(Address target, List<FirewallRule> rules)
        {
            if (rules.Count == 0)
                return null;
            RuleRecord record = RecordOf(rules);
            if (!InForce(target, rules))
                return target + " has rules that do not block it as ours do";
            return record == null ? target + " blocked in and out, without a record" : Line(target, record.Until);
        }

        private static string Line(Address target, long until)
        {
            return target + " blocked in and out, " + (until == Lifetime.Permanent ? "permanent" : "until " + Lifetime.Text(until));
        }

        private static Dictionary<string, object> Detail(Address target, List<FirewallRule> rules)
        {
            List<string> names = new List<string>();
            List<string> addresses = new List<string>();
            foreach (FirewallRule rule in rules)
            {
                names.Add(rule.Name);
                addresses.Add(rule.RemoteAddresses);
            }
            Dictionary<string, object> detail = new Dictionary<string, object>();
            detail["blocked"] = InForce(target, rules);
            detail["rules"] = names.ToArray();
            detail["remote_addresses"] = addresses.ToArray();
            return detail;
        }

        private static string NewId()
        {
            return Guid.NewGuid().ToString("N").Substring(0, 12);
        }
    }
}
