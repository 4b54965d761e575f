// Copyright: riposte.active_response contributors
// SPDX-License-Identifier: GPL-3.0-or-later
using System;
using System.Collections.Generic;
using System.Globalization;

#if NEVER  // read by ansible-core's search for module utils, skipped by the compiler
using ansible_collections.riposte.active_response.plugins.module_utils.Address;
#endif

namespace Riposte.ActiveResponse
{
    /// <summary>Something that must never be hit: the name by which it can be overridden, and what it is for the reader.</summary>
    public sealed class GuardEntry
    {
        public readonly string Name;
        public readonly string What;
        public readonly Address Network;

        public GuardEntry(string name, string what, Address network)
        {
            Name = name;
            What = what;
            Network = network;
        }
    }

    /// <summary>What the guard says no to: Entry is the name to override, Message the whole sentence.</summary>
    public sealed class Refusal
    {
        public readonly string Entry;
        public readonly string Message;

        public Refusal(string entry, string message)
        {
            Entry = entry;
            Message = String.Format(CultureInfo.InvariantCulture, "{0} (guard entry {1}; to act all the same: override: [{1}])", message, entry);
        }
    }

    /// <summary>Says no to addresses and to networks that contain one. Pure: the facts of the host are handed in.</summary>
    public sealed class Guard
    {
        public const int WidestIPv4 = 16;
        public const int WidestIPv6 = 48;

        private static readonly string[] Names =
        {
            "loopback", "unspecified", "multicast", "broadcast", "link_local", "wide_network", "own_address", "gateway", "resolver", "session", "wazuh_manager"
        };

        private static readonly string[][] Fixed =
        {
            new string[] { "unspecified", "0.0.0.0/8" },
            new string[] { "loopback", "127.0.0.0/8" },
            new string[] { "link_local", "169.254.0.0/16" },
            new string[] { "multicast", "224.0.0.0/4" },
            new string[] { "broadcast", "255.255.255.255" },
            new string[] { "unspecified", "::" },
            new string[] { "loopback", "::1" },
            new string[] { "link_local", "fe80::/10" },
            new string[] { "multicast", "ff00::/8" },
        };

        private readonly List<GuardEntry> entries = new List<GuardEntry>();
        private readonly List<string> overridden;

        /// <summary>host: what this host must keep; protect: more addresses; overridden: entries to pass over. Throws BadInputException.</summary>
        public Guard(IEnumerable<GuardEntry> host, IEnumerable<string> protect, IEnumerable<string> overridden)
        {
            this.overridden = new List<string>(overridden);
            foreach (string name in this.overridden)
                if (Array.IndexOf(Names, name) < 0 && !name.StartsWith("never:", StringComparison.Ordinal))
                    throw new BadInputException("override", name, "override", "no guard entry has this name; known are " + String.Join(", ", Names) + ", never:ENTRY");
            foreach (string[] pair in Fixed)
                entries.Add(new GuardEntry(pair[0], "the " + pair[0] + " range " + pair[1], Address.Parse(pair[1])));
            entries.AddRange(host);
            foreach (string value in protect)
                entries.Add(new GuardEntry("never:" + value, "on the never-list", Address.Parse(value)));
        }

        /// <summary>Why this target must not be hit, or null.</summary>
        public Refusal Check(Address target)
        {
            int widest = target.IsIPv4 ? WidestIPv4 : WidestIPv6;
            if (target.Prefix < widest && !overridden.Contains("wide_network"))
                return new Refusal("wide_network", String.Format(CultureInfo.InvariantCulture, "{0} is refused: a network wider than /{1} hits too many", target, widest));
            foreach (GuardEntry entry in entries)
                if (!overridden.Contains(entry.Name) && entry.Network.Overlaps(target))
                    return new Refusal(entry.Name, String.Format(CultureInfo.InvariantCulture, "{0} is refused: it {1} {2}", target, Relation(target, entry.Network), entry.What));
            return null;
        }

        private static string Relation(Address target, Address entry)
        {
            if (target.ToString() == entry.ToString())
                return "is";
            return target.Prefix >= entry.Prefix ? "is in" : "contains";
        }
    }
}
