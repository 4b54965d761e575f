// Copyright: riposte.active_response contributors
// SPDX-License-Identifier: GPL-3.0-or-later
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Riposte.ActiveResponse
{
    /// <summary>A value breaks a rule. Rule is the short name that tests/cases uses; the message names value and rule.</summary>
    public class BadInputException : Exception
    {
        public readonly string Rule;

        public BadInputException(string what, string value, string rule, string why)
            : base(String.Format(CultureInfo.InvariantCulture, "{0} {1}: {2}", what, Shown(value), why))
        {
            Rule = rule;
        }

        /// <summary>A value for a message: quoted, escaped to printable ASCII, cut to a readable length.</summary>
        public static string Shown(string value)
        {
            const int Limit = 60;
            StringBuilder shown = new StringBuilder("'");
            string text = value ?? "";
            foreach (char c in text)
            {
                if (shown.Length > Limit)
                    return shown.Append("'... (").Append(text.Length).Append(" characters)").ToString();
                if (c < ' ' || c > '~' || c == '\'' || c == '\\')
                    shown.AppendFormat(CultureInfo.InvariantCulture, "\\u{0:x4}", (int)c);
                else
                    shown.Append(c);
            }
            return shown.Append('\'').ToString();
        }
    }

    /// <summary>
    /// An IPv4 or IPv6 address or network. Own reader and printer: System.Net.IPAddress takes "1", "0x7f.1", "::1%3",
    /// and prints as the operating system likes; the rules and spellings here are those of the Unix engine, case by case.
    /// </summary>
    public sealed class Address
    {
        public const int Longest = 64;

        private readonly byte[] first;
        private readonly int prefix;

        private Address(byte[] first, int prefix)
        {
            this.first = first;
            this.prefix = prefix;
        }

        public bool IsIPv4 { get { return first.Length == 4; } }

        public int Prefix { get { return prefix; } }

        public bool IsSingle { get { return prefix == first.Length * 8; } }

        public byte[] First { get { return (byte[])first.Clone(); } }

        public byte[] Last
        {
            get
            {
                byte[] last = (byte[])first.Clone();
                for (int bit = prefix; bit < last.Length * 8; bit++)
                    last[bit / 8] |= (byte)(0x80 >> (bit % 8));
                return last;
            }
        }

        public bool Overlaps(Address other)
        {
            return first.Length == other.first.Length && Compare(first, other.Last) <= 0 && Compare(other.first, Last) <= 0;
        }

        /// <summary>The canonical spelling: RFC 5952 for IPv6, no prefix length on a single address.</summary>
        public override string ToString()
        {
            string text = Print(first);
            return IsSingle ? text : text + "/" + prefix.ToString(CultureInfo.InvariantCulture);
        }

        /// <summary>Reads one target strictly; throws BadInputException.</summary>
        public static Address Parse(string value)
        {
            CheckCharacters(value);
            int slash = value.IndexOf('/');
            byte[] bytes = Bytes(slash < 0 ? value : value.Substring(0, slash));
            if (bytes == null)
                throw NotAnAddress(value);
            int bits = bytes.Length * 8;
            int length = slash < 0 ? bits : Number(value.Substring(slash + 1), bits);
            if (length < 0)
                throw Bad(value, "prefix_length", String.Format(CultureInfo.InvariantCulture, "the prefix length must be a number from 1 to {0}", bits));
            Address address = FromBytes(bytes, length);
            if (address.prefix == 0)
                throw Bad(value, "everything", "a network of prefix length 0 is everybody");
            Address network = address.Masked();
            if (Compare(network.first, address.first) != 0)
                throw Bad(value, "host_bits", "it has bits set behind its prefix length; for the network say " + network);
            return address;
        }

        /// <summary>An IPv4-mapped IPv6 address or network is the IPv4 one.</summary>
        public static Address FromBytes(byte[] bytes, int prefix)
        {
            if (bytes.Length != 16 || prefix < 96 || !IsMapped(bytes))
                return new Address(bytes, prefix);
            byte[] inner = new byte[4];
            Array.Copy(bytes, 12, inner, 0, 4);
            return new Address(inner, prefix - 96);
        }

        /// <summary>The 4 or 16 bytes of an address without prefix length, or null. No system call, no guessing.</summary>
        public static byte[] Bytes(string text)
        {
            return text.IndexOf(':') < 0 ? BytesOfIPv4(text) : BytesOfIPv6(text);
        }

        /// <summary>Numeric order of two addresses of one family.</summary>
        public static int Compare(byte[] one, byte[] other)
        {
            for (int i = 0; i < one.Length; i++)
                if (one[i] != other[i])
                    return one[i] < other[i] ? -1 : 1;
            return 0;
        }

        /// <summary>A decimal number from 0 to most without sign or leading zero, or -1.</summary>
        public static int Number(string text, int most)
        {
            if (text.Length == 0 || text.Length > 3 || (text.Length > 1 && text[0] == '0'))
                return -1;
            int number = 0;
            foreach (char c in text)
            {
                if (c < '0' || c > '9')
                    return -1;
                number = number * 10 + (c - '0');
            }
            return number <= most ? number : -1;
        }

        private static void CheckCharacters(string value)
        {
            if (String.IsNullOrEmpty(value))
                throw Bad(value, "empty", "it is empty");
            if (value.Length > Longest)
                throw Bad(value, "too_long", String.Format(CultureInfo.InvariantCulture, "it is longer than {0} characters", Longest));
            foreach (char c in value)
                if (HexDigit(c) < 0 && c != '.' && c != ':' && c != '/')
                    throw value.IndexOf('%') < 0 ? NotAnAddress(value) : Bad(value, "zone_id", "an address with a zone id is no target");
        }

        private Address Masked()
        {
            byte[] masked = (byte[])first.Clone();
            for (int bit = prefix; bit < masked.Length * 8; bit++)
                masked[bit / 8] &= (byte)~(0x80 >> (bit % 8));
            return new Address(masked, prefix);
        }

        private static bool IsMapped(byte[] bytes)
        {
            for (int i = 0; i < 10; i++)
                if (bytes[i] != 0)
                    return false;
            return bytes[10] == 0xff && bytes[11] == 0xff;
        }

        private static byte[] BytesOfIPv4(string text)
        {
            string[] parts = text.Split('.');
            if (parts.Length != 4)
                return null;
            byte[] bytes = new byte[4];
            for (int i = 0; i < 4; i++)
            {
                int number = Number(parts[i], 255);
                if (number < 0)
                    return null;
                bytes[i] = (byte)number;
            }
            return bytes;
        }

        private static byte[] BytesOfIPv6(string text)
        {
            int gap = text.IndexOf("::", StringComparison.Ordinal);
            List<byte> head = Groups(gap < 0 ? text : text.Substring(0, gap), gap < 0);
            List<byte> tail = Groups(gap < 0 ? "" : text.Substring(gap + 2), true);
            if (head == null || tail == null)
                return null;
            int missing = 16 - head.Count - tail.Count;
            if (gap < 0 ? missing != 0 : missing < 2)  // "::" stands for at least one group
                return null;
            head.AddRange(new byte[missing]);
            head.AddRange(tail);
            return head.ToArray();
        }

        private static List<byte> Groups(string text, bool mayEndInIPv4)
        {
            List<byte> bytes = new List<byte>();
            if (text.Length == 0)
                return bytes;
            string[] parts = text.Split(':');
            for (int i = 0; i < parts.Length; i++)
            {
                bool dotted = mayEndInIPv4 && i == parts.Length - 1 && parts[i].IndexOf('.') >= 0;
                byte[] group = dotted ? BytesOfIPv4(parts[i]) : Group(parts[i]);
                if (group == null)
                    return null;
                bytes.AddRange(group);
            }
            return bytes;
        }

        private static byte[] Group(string text)
        {
            if (text.Length < 1 || text.Length > 4)
                return null;
            int number = 0;
            foreach (char c in text)
            {
                int digit = HexDigit(c);
                if (digit < 0)
                    return null;
                number = number * 16 + digit;
            }
            return new byte[] { (byte)(number >> 8), (byte)number };
        }

        private static int HexDigit(char c)
        {
            if (c >= '0' && c <= '9')
                return c - '0';
            if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
            return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        }

        private static string Print(byte[] bytes)
        {
            if (bytes.Length == 4)
                return String.Format(CultureInfo.InvariantCulture, "{0}.{1}.{2}.{3}", bytes[0], bytes[1], bytes[2], bytes[3]);
            int[] groups = new int[8];
            for (int i = 0; i < 8; i++)
                groups[i] = bytes[2 * i] * 256 + bytes[2 * i + 1];
            int start, length;
            LongestZeroRun(groups, out start, out length);
            if (length < 2)
                return Join(groups, 0, 8);
            return Join(groups, 0, start) + "::" + Join(groups, start + length, 8);
        }

        private static void LongestZeroRun(int[] groups, out int start, out int length)
        {
            start = 0;
            length = 0;
            for (int i = 0; i < 8; i++)
            {
                int run = 0;
                while (i + run < 8 && groups[i + run] == 0)
                    run++;
                if (run > length)
                {
                    start = i;
                    length = run;
                }
            }
        }

        private static string Join(int[] groups, int from, int to)
        {
            List<string> parts = new List<string>();
            for (int i = from; i < to; i++)
                parts.Add(groups[i].ToString("x", CultureInfo.InvariantCulture));
            return String.Join(":", parts.ToArray());
        }

        private static BadInputException NotAnAddress(string value)
        {
            return Bad(value, "not_an_address", "it is not an address or network (IPv4 as four decimal numbers of 0 to 255 without leading zeros, or IPv6)");
        }

        private static BadInputException Bad(string value, string rule, string why)
        {
            return new BadInputException("address", value, rule, why);
        }
    }
}
