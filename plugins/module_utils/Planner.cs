// Copyright: riposte.active_response contributors
// SPDX-License-Identifier: GPL-3.0-or-later
using System;

#if NEVER  // read by ansible-core's search for module utils, skipped by the compiler
using ansible_collections.riposte.active_response.plugins.module_utils.Lifetime;
#endif

namespace Riposte.ActiveResponse
{
    /// <summary>What is known of a target before the change. Ends are epoch seconds; Lifetime.Permanent; null: the system keeps no ends.</summary>
    public sealed class Known
    {
        public bool Recorded;
        public long RecordedUntil;
        public bool InForce;
        public long? InForceUntil;
    }

    /// <summary>What to do: Action is add, extend, restore, remove or none; Outcome is done, unchanged or refused.</summary>
    public sealed class Step
    {
        public readonly string Action;
        public readonly string Outcome;
        public readonly long Until;

        public Step(string action, string outcome, long until)
        {
            Action = action;
            Outcome = outcome;
            Until = until;
        }

        public bool Changed { get { return Action != "none"; } }

        public static Step Refused { get { return new Step("none", "refused", 0); } }
    }

    /// <summary>What to do about one target: pure functions of what is asked, recorded and in force. Cases: tests/cases/plan.json.</summary>
    public static class Planner
    {
        // Seconds by which an end that a system counts down may differ from the recorded one.
        private const long Tolerance = 5;

        public static Step Release(Known known, long now)
        {
            bool stands = known.InForce || (known.Recorded && known.RecordedUntil > now);
            return stands ? new Step("remove", "done", 0) : new Step("none", "unchanged", 0);
        }

        public static Step Respond(Lifetime wanted, Known known, long now, string guard)
        {
            if (guard != null)
                return Step.Refused;
            long? standing = StandingEnd(known, now);
            if (standing == null)
                return new Step(known.InForce ? "extend" : "add", "done", wanted.End);
            long until = wanted.Relative ? standing.Value : Math.Max(standing.Value, wanted.End);
            if (!known.InForce)
                return new Step("restore", "done", until);
            long inForce = known.InForceUntil ?? standing.Value;
            bool asRecorded = !known.Recorded || SameEnd(until, known.RecordedUntil);
            return asRecorded && SameEnd(until, inForce) ? new Step("none", "unchanged", until) : new Step("extend", "done", until);
        }

        /// <summary>The end that stands, or null. What was due already does not count; without a record the system's own end does.</summary>
        private static long? StandingEnd(Known known, long now)
        {
            long? end = null;
            if (known.Recorded)
                end = known.RecordedUntil;
            else if (known.InForce)
                end = known.InForceUntil;
            return end != null && end.Value > now ? end : null;
        }

        private static bool SameEnd(long one, long other)
        {
            if (one == Lifetime.Permanent || other == Lifetime.Permanent)
                return one == other;
            return Math.Abs(one - other) <= Tolerance;
        }
    }
}
