// Copyright: riposte.active_response contributors
// SPDX-License-Identifier: GPL-3.0-or-later
using System;
using System.Globalization;
using System.Text.RegularExpressions;

#if NEVER  // read by ansible-core's search for module utils, skipped by the compiler
using ansible_collections.riposte.active_response.plugins.module_utils.Address;
#endif

namespace Riposte.ActiveResponse
{
    /// <summary>When a response ends, in epoch seconds; Permanent is later than any. Relative: it came from a timeout.</summary>
    public sealed class Lifetime
    {
        public const long Permanent = long.MaxValue;
        public const long Longest = 366L * 86400;

        // The clock of the controller and that of this host may differ by this much.
        private const long Skew = 60;

        private static readonly Regex DurationForm = new Regex(@"\A([0-9]{1,9})([smhdw]?)\z", RegexOptions.CultureInvariant);
        private static readonly Regex EpochForm = new Regex(@"\A([0-9]{9,10})(\.[0-9]{1,9})?\z", RegexOptions.CultureInvariant);
        private static readonly Regex IsoForm = new Regex(
            @"\A([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:?[0-9]{2})\z", RegexOptions.CultureInvariant);
        private static readonly DateTime Epoch = new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc);

        public readonly long End;
        public readonly bool Relative;

        public Lifetime(long end, bool relative)
        {
            End = end;
            Relative = relative;
        }

        /// <summary>The lifetime asked for; exactly one of timeout, until, permanent. Throws BadInputException.</summary>
        public static Lifetime Read(long now, string timeout, string until, bool permanent, string since)
        {
            int given = (timeout != null ? 1 : 0) + (until != null ? 1 : 0) + (permanent ? 1 : 0);
            if (given != 1)
                throw new BadInputException("lifetime", "", "exactly_one",
                    "give exactly one of timeout, until, permanent: true; a response is never permanent by accident");
            if (since != null && timeout == null)
                throw new BadInputException("since", since, "since_needs_timeout", "it says what a timeout counts from, so it needs timeout");
            if (permanent)
                return new Lifetime(Permanent, false);
            if (until != null)
                return Future(now, new Lifetime(Moment("until", until), false), "until", until);
            long seconds = Duration(timeout);
            long begin = since == null ? now : Moment("since", since);
            if (begin > now + Skew)
                throw new BadInputException("since", since, "since_in_future", "it lies in the future of this host's clock (" + Text(now) + ")");
            return Future(now, new Lifetime(begin + seconds, true), "timeout", timeout);
        }

        /// <summary>Seconds in "600", "600s", "10m", "2h", "1d", "1w".</summary>
        public static long Duration(string value)
        {
            Match found = DurationForm.Match(value);
            if (!found.Success)
                throw new BadInputException("timeout", value, "form", "it must be a whole number of seconds, or a number with s, m, h, d or w");
            long seconds = Int64.Parse(found.Groups[1].Value, CultureInfo.InvariantCulture) * Unit(found.Groups[2].Value);
            if (seconds < 1 || seconds > Longest)
                throw new BadInputException("timeout", value, "range", "it must be from 1 second to 366 days; for longer say permanent: true");
            return seconds;
        }

        /// <summary>Epoch seconds of ISO 8601 with a zone, or of epoch seconds as text; a fraction of a second is dropped.</summary>
        public static long Moment(string name, string value)
        {
            Match epoch = EpochForm.Match(value);
            if (epoch.Success)
                return Int64.Parse(epoch.Groups[1].Value, CultureInfo.InvariantCulture);
            Match iso = IsoForm.Match(value);
            DateTime local = Epoch;
            int offset = 0;
            if (!iso.Success || !Clock(iso, out local) || !Offset(iso.Groups[5].Value, out offset))
                throw new BadInputException(name, value, "form", "it must be a moment with a zone such as 2026-11-24T08:00:00Z, or epoch seconds");
            return (long)(local - Epoch).TotalSeconds - offset;
        }

        /// <summary>ISO 8601 in UTC, or null for permanent.</summary>
        public static string Text(long moment)
        {
            return moment == Permanent ? null : Epoch.AddSeconds(moment).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        }

        public static long Now()
        {
            return (long)(DateTime.UtcNow - Epoch).TotalSeconds;
        }

        private static Lifetime Future(long now, Lifetime wanted, string name, string value)
        {
            if (wanted.End <= now)
                throw new BadInputException(name, value, "ended", "its end " + Text(wanted.End) + " has passed, so nothing is put into force");
            if (wanted.End - now > Longest)
                throw new BadInputException(name, value, "too_far", "it must end within 366 days; for longer say permanent: true");
            return wanted;
        }

        private static long Unit(string letter)
        {
            switch (letter)
            {
                case "m": return 60;
                case "h": return 3600;
                case "d": return 86400;
                case "w": return 604800;
                default: return 1;
            }
        }

        private static bool Clock(Match iso, out DateTime local)
        {
            string seconds = iso.Groups[3].Success ? iso.Groups[3].Value : ":00";
            return DateTime.TryParseExact(iso.Groups[1].Value + "T" + iso.Groups[2].Value + seconds, "yyyy-MM-dd'T'HH:mm:ss",
                CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out local);
        }

        private static bool Offset(string zone, out int seconds)
        {
            seconds = 0;
            if (zone.Length == 1)
                return true;
            string digits = zone.Substring(1).Replace(":", "");
            int hours = Int32.Parse(digits.Substring(0, 2), CultureInfo.InvariantCulture);
            int minutes = Int32.Parse(digits.Substring(2), CultureInfo.InvariantCulture);
            seconds = (hours * 3600 + minutes * 60) * (zone[0] == '-' ? -1 : 1);
            return hours < 24 && minutes < 60;
        }
    }
}
