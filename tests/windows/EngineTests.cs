// Copyright: riposte.active_response contributors
// SPDX-License-Identifier: GPL-3.0-or-later
using System;
using System.Collections.Generic;

namespace Riposte.ActiveResponse.Tests
{
    /// <summary>The engine against the stand-in firewall, through the very reflection calls that reach COM on Windows.</summary>
    public static class EngineTests
    {
        private const long Now = 1767225600;
        private static readonly Lifetime Forever = new Lifetime(Lifetime.Permanent, false);
        private static readonly string[] None = { };

        private static IFirewall Firewall(StandInPolicy policy)
        {
            return new WindowsFirewall(policy, policy.NewRule);
        }

        private static Guard Allow(params string[] overridden)
        {
            return new Guard(new GuardEntry[0], None, overridden);
        }

        private static List<DropResult> Run(StandInPolicy policy, Lifetime wanted, params string[] targets)
        {
            return Run(policy, wanted, Allow(), false, targets);
        }

        private static List<DropResult> Run(StandInPolicy policy, Lifetime wanted, Guard guard, bool ticking, params string[] targets)
        {
            return new FirewallDrop(Firewall(policy), guard, ticking, Now).Run(new DropRequest { Targets = targets, Wanted = wanted });
        }

        private static List<DropResult> Check(StandInPolicy policy, Lifetime wanted, params string[] targets)
        {
            DropRequest request = new DropRequest { Targets = targets, Wanted = wanted, Check = true };
            return new FirewallDrop(Firewall(policy), Allow(), false, Now).Run(request);
        }

        private static void Outcome(string expected, bool changed, DropResult result)
        {
            Assert.Equal(expected, result.Outcome, result.Target + " (" + result.Message + ")");
            Assert.Equal(changed, result.Changed, result.Target + " changed");
        }

        public static void TestABlockIsTwoRulesOneADirection()
        {
            StandInPolicy policy = new StandInPolicy();
            DropResult result = Run(policy, Forever, "203.0.113.9")[0];
            Outcome("done", true, result);
            Assert.Equal(true, result.InForce["blocked"]);
            StandInRule incoming = policy.TheRules.Item("riposte:in:203.0.113.9"), outgoing = policy.TheRules.Item("riposte:out:203.0.113.9");
            Assert.Equal(1, incoming.Direction);
            Assert.Equal(2, outgoing.Direction);
            Assert.True(incoming.Enabled && outgoing.Enabled && incoming.Action == 0 && outgoing.Action == 0, "both block");
            Assert.Equal("203.0.113.9/255.255.255.255", outgoing.RemoteAddresses);
        }

        public static void TestSecondRunChangesNothingHoweverTheFirewallSpellsAddresses()
        {
            foreach (string spelling in new string[] { "mask", "prefix", "range" })
            {
                StandInPolicy policy = new StandInPolicy();
                policy.TheRules.Spelling = spelling;
                string[] targets = { "203.0.113.9", "198.51.100.0/24", "2001:db8::1", "2001:db8:5::/48" };
                foreach (DropResult result in Run(policy, Forever, targets))
                    Outcome("done", true, result);
                string dump = policy.TheRules.Dump();
                foreach (DropResult result in Run(policy, Forever, targets))
                    Outcome("unchanged", false, result);
                Assert.Equal(dump, policy.TheRules.Dump(), spelling);
                Assert.Equal(8, policy.TheRules.Adds, spelling);
            }
        }

        public static void TestReleaseOfOneAddressLeavesItsNeighboursAndWhatOthersMade()
        {
            StandInPolicy policy = new StandInPolicy();
            StandInRule theirs = new StandInRule(policy.TheRules) { Name = "Blocked by hand", Direction = 1, Action = 0, Enabled = true, RemoteAddresses = "10.0.0.1" };
            policy.TheRules.Add(theirs);
            Run(policy, Forever, "10.0.0.10", "10.0.0.0/24", "10.0.0.0");
            string before = policy.TheRules.Dump();
            Run(policy, Forever, "10.0.0.1");
            Outcome("done", true, Run(policy, null, "10.0.0.1")[0]);
            Assert.Equal(before, policy.TheRules.Dump());
            Outcome("unchanged", false, Run(policy, null, "10.0.0.1")[0]);
            Assert.Equal(before, policy.TheRules.Dump());
        }

        public static void TestABatchWithBadEntriesDoesTheRestAndNamesThem()
        {
            StandInPolicy policy = new StandInPolicy();
            List<DropResult> results = Run(policy, Forever, "203.0.113.9", "999.1.1.1", "127.0.0.1", "::ffff:203.0.113.9", "2001:db8::1");
            Assert.Equal(4, results.Count, "the mapped spelling is the same target");
            Outcome("done", true, results[0]);
            Outcome("failed", false, results[1]);
            Outcome("refused", false, results[2]);
            Outcome("done", true, results[3]);
            Assert.Contains("999.1.1.1", results[1].Message);
            Assert.Contains("loopback", results[2].Message);
            Assert.Equal(4, policy.TheRules.Adds);
        }

        public static void TestCheckModeChangesNothingAndForetellsTheRun()
        {
            StandInPolicy policy = new StandInPolicy();
            Run(policy, Forever, "203.0.113.1");
            policy.TheRules.Item("riposte:in:203.0.113.1").Enabled = false;
            Run(policy, Forever, "203.0.113.2");
            string[] targets = { "203.0.113.1", "203.0.113.2", "203.0.113.3", "127.0.0.1", "bad" };
            foreach (Lifetime wanted in new Lifetime[] { Forever, null })
            {
                string dump = policy.TheRules.Dump();
                List<DropResult> foretold = Check(policy, wanted, targets);
                Assert.Equal(dump, policy.TheRules.Dump());
                List<DropResult> done = Run(policy, wanted, targets);
                for (int i = 0; i < targets.Length; i++)
                {
                    Outcome(foretold[i].Outcome, foretold[i].Changed, done[i]);
                    Assert.Equal(foretold[i].Before, done[i].Before, targets[i]);
                    Assert.Equal(foretold[i].After, done[i].After, targets[i]);
                }
            }
            Assert.Equal("", policy.TheRules.Dump());
        }

        public static void TestALifetimeThatNobodyWouldEndIsRefusedWithTheCure()
        {
            StandInPolicy policy = new StandInPolicy();
            DropResult result = Run(policy, new Lifetime(Now + 600, true), "203.0.113.9")[0];
            Outcome("refused", false, result);
            Assert.Contains("permanent: true", result.Message);
            Assert.Equal("", policy.TheRules.Dump());
            Run(policy, Forever, "203.0.113.9");
            Outcome("unchanged", false, Run(policy, new Lifetime(Now + 600, true), "203.0.113.9")[0]);
        }

        public static void TestWhereSomethingEndsThemLifetimesAreRecordedMovedAndRestored()
        {
            StandInPolicy policy = new StandInPolicy();
            Outcome("done", true, Run(policy, new Lifetime(Now + 600, true), Allow(), true, "203.0.113.9")[0]);
            Outcome("unchanged", false, Run(policy, new Lifetime(Now + 900, true), Allow(), true, "203.0.113.9")[0]);
            DropResult moved = Run(policy, new Lifetime(Now + 900, false), Allow(), true, "203.0.113.9")[0];
            Outcome("done", true, moved);
            Assert.Equal(Now + 900, moved.Record.Until);
            Assert.Equal(2, policy.TheRules.Adds, "an end is moved in place, without a moment unblocked");
            policy.TheRules.Remove("riposte:out:203.0.113.9");
            DropResult restored = Run(policy, new Lifetime(Now + 9999, true), Allow(), true, "203.0.113.9")[0];
            Outcome("done", true, restored);
            Assert.Equal(Now + 900, restored.Record.Until, "the rest of its time");
            Assert.Equal(moved.Record.Id, restored.Record.Id);
        }

        public static void TestOfTwoRecordsThatWithTheLaterEndCounts()
        {
            foreach (string cutShort in new string[] { "in", "out" })
            {
                StandInPolicy policy = new StandInPolicy();
                Run(policy, new Lifetime(Now + 600, true), Allow(), true, "203.0.113.9");
                string early = policy.TheRules.Item("riposte:in:203.0.113.9").Description;
                Run(policy, new Lifetime(Now + 900, false), Allow(), true, "203.0.113.9");
                policy.TheRules.Item("riposte:" + cutShort + ":203.0.113.9").Description = early;
                Assert.Equal(Now + 900, Run(policy, new Lifetime(Now + 600, true), Allow(), true, "203.0.113.9")[0].Record.Until, cutShort);
            }
        }

        public static void TestWhatNoLongerBlocksIsPutRight()
        {
            List<Action<StandInRules>> harms = new List<Action<StandInRules>>();
            harms.Add(delegate(StandInRules rules) { rules.Item("riposte:in:203.0.113.9").Enabled = false; });
            harms.Add(delegate(StandInRules rules) { rules.Item("riposte:in:203.0.113.9").Action = 1; });
            harms.Add(delegate(StandInRules rules) { rules.Item("riposte:in:203.0.113.9").Direction = 2; });
            harms.Add(delegate(StandInRules rules) { rules.Item("riposte:in:203.0.113.9").Protocol = 6; });
            harms.Add(delegate(StandInRules rules) { rules.Item("riposte:in:203.0.113.9").Profiles = 1; });
            harms.Add(delegate(StandInRules rules) { rules.Item("riposte:in:203.0.113.9").RemoteAddresses = "203.0.113.8"; });
            harms.Add(delegate(StandInRules rules) { rules.Item("riposte:in:203.0.113.9").RemoteAddresses = "*"; });
            harms.Add(delegate(StandInRules rules) { rules.Item("riposte:in:203.0.113.9").LocalAddresses = "10.0.0.1"; });
            harms.Add(delegate(StandInRules rules) { rules.Item("riposte:in:203.0.113.9").InterfaceTypes = "Wireless"; });
            harms.Add(delegate(StandInRules rules) { rules.Item("riposte:out:203.0.113.9").ApplicationName = "c:\\x.exe"; });
            harms.Add(delegate(StandInRules rules) { rules.Item("riposte:out:203.0.113.9").ServiceName = "x"; });
            harms.Add(delegate(StandInRules rules) { rules.Remove("riposte:out:203.0.113.9"); });
            harms.Add(delegate(StandInRules rules) { rules.Add(rules.Item("riposte:out:203.0.113.9")); });
            foreach (Action<StandInRules> harm in harms)
            {
                StandInPolicy policy = new StandInPolicy();
                string id = Run(policy, Forever, "203.0.113.9")[0].Record.Id;
                string right = policy.TheRules.Dump();
                harm(policy.TheRules);
                DropResult result = Run(policy, Forever, "203.0.113.9")[0];
                Outcome("done", true, result);
                Assert.Equal(id, result.Record.Id);
                Assert.Equal(right, policy.TheRules.Dump());
            }
        }

        public static void TestWhatIsNotEnforcedIsNeverCalledDone()
        {
            foreach (bool byPolicy in new bool[] { true, false })
            {
                StandInPolicy policy = new StandInPolicy { ModifyState = byPolicy ? 1 : 0, OffProfile = byPolicy ? 0 : 2 };
                DropResult result = Run(policy, Forever, "203.0.113.9")[0];
                Outcome("failed", false, result);
                Assert.Contains(byPolicy ? "group policy" : "private profile", result.Message);
                Assert.Equal("", policy.TheRules.Dump());
            }
            StandInPolicy losing = new StandInPolicy();
            losing.TheRules.LosesWhatIsAdded = true;
            Outcome("failed", false, Run(losing, Forever, "203.0.113.9")[0]);
            StandInPolicy disabling = new StandInPolicy();
            disabling.TheRules.DisablesWhatIsAdded = true;
            DropResult dormant = Run(disabling, Forever, "203.0.113.9")[0];
            Outcome("failed", true, dormant);
            Assert.Equal(false, dormant.InForce["blocked"]);
            StandInPolicy keeping = new StandInPolicy();
            Run(keeping, Forever, "203.0.113.9");
            keeping.TheRules.KeepsWhatIsRemoved = true;
            Outcome("failed", false, Run(keeping, null, "203.0.113.9")[0]);
        }

        public static void TestAFailingFirewallLeavesNoHalfABlock()
        {
            foreach (int failing in new int[] { 1, 2 })
            {
                StandInPolicy policy = new StandInPolicy();
                policy.TheRules.FailingAdd = failing;
                List<DropResult> results = Run(policy, Forever, "203.0.113.9", "203.0.113.10");
                Outcome("failed", false, results[0]);
                Assert.Contains("Access is denied", results[0].Message);
                Assert.Equal(null, results[0].Record, "no record of what does not stand");
                Outcome("done", true, results[1]);
                Assert.True(!policy.TheRules.Dump().Contains("203.0.113.9;") && !policy.TheRules.Dump().Contains(":203.0.113.9"), "no half of it");
            }
        }

        public static void TestAStoppedServiceIsAnErrorNotAnEmptyFirewall()
        {
            StandInPolicy policy = new StandInPolicy { ServiceStopped = true };
            string message = "";
            try
            {
                Run(policy, null, "203.0.113.9");
            }
            catch (FirewallException error)
            {
                message = error.Message;
            }
            Assert.Contains("endpoint mapper", message);
        }

        public static void TestARuleOfOurNameThatIsNotOursIsLeftAlone()
        {
            StandInPolicy policy = new StandInPolicy();
            policy.TheRules.Add(new StandInRule(policy.TheRules) { Name = "riposte:in:203.0.113.9", Grouping = "Somebody", Direction = 1, Enabled = true });
            string before = policy.TheRules.Dump();
            foreach (Lifetime wanted in new Lifetime[] { Forever, null })
            {
                DropResult result = Run(policy, wanted, "203.0.113.9")[0];
                Outcome("failed", false, result);
                Assert.Contains("Somebody", result.Message);
                Assert.Equal(before, policy.TheRules.Dump());
            }
        }

        public static void TestABlockWithoutReadableRecordIsKeptOnRequestAndReleased()
        {
            StandInPolicy policy = new StandInPolicy();
            Run(policy, Forever, "203.0.113.9");
            policy.TheRules.Item("riposte:in:203.0.113.9").Description = "edited";
            policy.TheRules.Item("riposte:out:203.0.113.9").Description = "";
            Outcome("done", true, Run(policy, Forever, "203.0.113.9")[0]);
            Outcome("unchanged", false, Run(policy, Forever, "203.0.113.9")[0]);
            policy.TheRules.Item("riposte:in:203.0.113.9").Description = "edited";
            policy.TheRules.Remove("riposte:out:203.0.113.9");
            Outcome("done", true, Run(policy, null, "203.0.113.9")[0]);
            Assert.Equal("", policy.TheRules.Dump());
        }

        public static void TestHostileTextIsOnlyTextAndReadBackAsItWas()
        {
            string hostile = "a|b {{ lookup('pipe','id') }} %41 id=x until=permanent\r\n\u00fcnal \ud83d\ude00 '\"$(id)";
            RuleRecord record = new RuleRecord("0123456789ab", Now, Now + 600, hostile, hostile);
            string text = record.ToString();
            foreach (char c in text)
                Assert.True(c >= ' ' && c <= '~' && c != '|', "only printable ASCII without | in a description");
            RuleRecord read = RuleRecord.Parse(text);
            Assert.Equal(hostile, read.Reason);
            Assert.Equal(hostile, read.AlertId);
            Assert.Equal(Now + 600, read.Until);
            foreach (string bad in new string[] { null, "", "riposte/1", text.Replace("until=", "until=-"), text.Replace("until=", "until=99999999999999"), text + " x=1", "x" + text })
                Assert.Equal(null, RuleRecord.Parse(bad), bad);
        }

        public static void TestTheGuardRefusesEachClassAndIsOverriddenOnlyByItsName()
        {
            string[][] cases =
            {
                new string[] { "127.0.0.1", "loopback" }, new string[] { "127.0.0.0/16", "loopback" }, new string[] { "::1", "loopback" }, new string[] { "::ffff:127.0.0.1", "loopback" },
                new string[] { "0.0.0.0", "unspecified" }, new string[] { "0.1.2.3", "unspecified" }, new string[] { "::", "unspecified" },
                new string[] { "224.0.0.1", "multicast" }, new string[] { "ff02::1", "multicast" }, new string[] { "255.255.255.255", "broadcast" },
                new string[] { "169.254.169.254", "link_local" }, new string[] { "fe80::1", "link_local" },
                new string[] { "10.0.0.0/15", "wide_network" }, new string[] { "2001:db8::/47", "wide_network" }, new string[] { "0.0.0.0/1", "wide_network" },
                new string[] { "192.0.2.10", "own_address" }, new string[] { "192.0.2.0/24", "own_address" }, new string[] { "192.0.2.1", "gateway" },
                new string[] { "198.51.100.7", "never:198.51.100.0/24" },
            };
            GuardEntry[] host = { new GuardEntry("own_address", "this host's own address", Address.Parse("192.0.2.10")), new GuardEntry("gateway", "a gateway", Address.Parse("192.0.2.1")) };
            string[] protect = { "198.51.100.0/24" };
            foreach (string[] pair in cases)
            {
                Refusal refusal = new Guard(host, protect, None).Check(Address.Parse(pair[0]));
                Assert.True(refusal != null, pair[0] + " is not refused");
                Assert.Equal(pair[1], refusal.Entry, pair[0]);
                Assert.Contains(pair[0].Replace("::ffff:", ""), refusal.Message);
                Refusal second = new Guard(host, protect, new string[] { pair[1] }).Check(Address.Parse(pair[0]));
                Assert.True(second == null || second.Entry != pair[1], pair[0] + " is still refused by what was overridden");
            }
            foreach (string fine in new string[] { "203.0.113.9", "10.0.0.0/16", "2001:db8::/48", "192.0.2.11", "2001:db8::1", "126.255.255.255", "128.0.0.0" })
                Assert.True(new Guard(host, protect, None).Check(Address.Parse(fine)) == null, fine + " is refused");
        }

        public static void TestAnUnknownOverrideOrABadProtectedAddressIsAnError()
        {
            foreach (string[] pair in new string[][] { new string[] { "all", null }, new string[] { "Loopback", null }, new string[] { null, "1.2.3" } })
            {
                bool refused = false;
                try
                {
                    new Guard(new GuardEntry[0], pair[1] == null ? None : new string[] { pair[1] }, pair[0] == null ? None : new string[] { pair[0] });
                }
                catch (BadInputException error)
                {
                    refused = error.Message.Contains(pair[0] ?? pair[1]);
                }
                Assert.True(refused, pair[0] ?? pair[1]);
            }
        }

        public static void TestAddressListsAreComparedAsSets()
        {
            string[][] same =
            {
                new string[] { "10.0.0.0/24", "10.0.0.0/255.255.255.0" }, new string[] { "10.0.0.0/24", "10.0.0.7/255.255.255.0" }, new string[] { "10.0.0.0/24", "10.0.0.0-10.0.0.255" },
                new string[] { "10.0.0.0/24", "10.0.0.128/25,10.0.0.0/25" }, new string[] { "10.0.0.0/24", "10.0.0.0/24,10.0.0.9" }, new string[] { "10.0.0.1", "10.0.0.1" },
                new string[] { "255.255.255.254/31", "255.255.255.254,255.255.255.255" }, new string[] { "2001:db8::1", "2001:DB8:0::1/128" },
                new string[] { "2001:db8::/64", "2001:db8::-2001:db8::ffff:ffff:ffff:ffff" }, new string[] { "2001:db8::1", "2001:db8::1-2001:db8::1" },
            };
            string[][] other =
            {
                new string[] { "10.0.0.1", "*" }, new string[] { "10.0.0.1", "" }, new string[] { "10.0.0.1", null }, new string[] { "10.0.0.1", "LocalSubnet" }, new string[] { "10.0.0.1", "10.0.0.10" },
                new string[] { "10.0.0.1", "10.0.0.1,10.0.0.2" }, new string[] { "10.0.0.1", "10.0.0.1,LocalSubnet" }, new string[] { "10.0.0.0/8", "10.0.0.0/255.0.255.0" },
                new string[] { "10.0.0.0/24", "10.0.0.0/25" }, new string[] { "10.0.0.0/24", "10.0.0.0-10.0.0.254" }, new string[] { "10.0.0.0/24", "10.0.0.0-10.0.0.99,10.0.0.101-10.0.0.255" },
                new string[] { "10.0.0.1", "10.0.0.1,2001:db8::1" }, new string[] { "2001:db8::1", "2001:db8::1/255.255.255.255" }, new string[] { "10.0.0.1", "10.0.0.1-2001:db8::1" },
                new string[] { "10.0.0.1", "10.0.0.2-10.0.0.1" }, new string[] { "::a00:1", "10.0.0.1" },
            };
            foreach (string[] pair in same)
                Assert.True(AddressSet.Is(pair[1], Address.Parse(pair[0])), pair[1] + " is " + pair[0]);
            foreach (string[] pair in other)
                Assert.True(!AddressSet.Is(pair[1], Address.Parse(pair[0])), pair[1] + " is not " + pair[0]);
        }

        public static void TestAfterAPlanIsCarriedOutTheSamePlanIsUnchanged()
        {
            long?[] ends = { null, Now - 10, Now + 100, Now + 600, Lifetime.Permanent };
            Lifetime[] wants = { new Lifetime(Now + 300, true), new Lifetime(Now + 300, false), new Lifetime(Now + 900, false), Forever, null };
            int changes = 0;
            foreach (bool keepsEnds in new bool[] { true, false })
                foreach (long? recorded in ends)
                    foreach (long? inForce in ends)
                        foreach (Lifetime wanted in wants)
                        {
                            Known known = new Known { Recorded = recorded != null, RecordedUntil = recorded ?? 0, InForce = inForce != null, InForceUntil = keepsEnds ? inForce : null };
                            Step step = Planned(wanted, known);
                            if (!step.Changed)
                                continue;
                            changes++;
                            bool stands = step.Action != "remove";
                            Known after = new Known { Recorded = stands, RecordedUntil = step.Until, InForce = stands, InForceUntil = stands && keepsEnds ? step.Until : (long?)null };
                            Assert.Equal("unchanged", Planned(wanted, after).Outcome, step.Action + " recorded " + recorded + " in force " + inForce);
                        }
            Assert.True(changes > 100, "only " + changes + " plans change anything");
        }

        private static Step Planned(Lifetime wanted, Known known)
        {
            return wanted == null ? Planner.Release(known, Now) : Planner.Respond(wanted, known, Now, null);
        }

        public static void TestTheHostsOwnAddressesAreFound()
        {
            Assert.True(WindowsHost.Entries().Exists(delegate(GuardEntry entry) { return entry.Name == "own_address"; }), "no own address");
        }
    }
}
