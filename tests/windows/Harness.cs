// Copyright: riposte.active_response contributors
// SPDX-License-Identifier: GPL-3.0-or-later
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Reflection;
using System.Text;

namespace Riposte.ActiveResponse.Tests
{
    public class AssertionException : Exception
    {
        public AssertionException(string message) : base(message) { }
    }

    public static class Assert
    {
        public static void Equal(object expected, object seen, string about = "")
        {
            if (!Equals(expected, seen))
                throw new AssertionException(String.Format("{0}: expected <{1}>, seen <{2}>", about, expected ?? "null", seen ?? "null"));
        }

        public static void True(bool holds, string about)
        {
            if (!holds)
                throw new AssertionException(about);
        }

        public static void Contains(string part, string text)
        {
            True(text != null && text.Contains(part), String.Format("expected <{0}> in <{1}>", part, text ?? "null"));
        }
    }

    /// <summary>
    /// Two programs in one. "tests": runs every public static Test* method of EngineTests, one TAP line each.
    /// "ask": answers questions from standard input, one a line, its fields base64 of UTF-8 and "-" for null.
    /// </summary>
    public static class Harness
    {
        public static int Main(string[] arguments)
        {
            return arguments[0] == "tests" ? RunTests() : Answer();
        }

        private static int RunTests()
        {
            int failed = 0;
            foreach (MethodInfo test in typeof(EngineTests).GetMethods(BindingFlags.Public | BindingFlags.Static))
            {
                if (!test.Name.StartsWith("Test", StringComparison.Ordinal))
                    continue;
                try
                {
                    test.Invoke(null, null);
                    Console.WriteLine("ok " + test.Name);
                }
                catch (TargetInvocationException error)
                {
                    failed++;
                    Console.WriteLine("not ok " + test.Name + " # " + error.InnerException.ToString().Replace("\n", " | "));
                }
            }
            return failed == 0 ? 0 : 1;
        }

        private static int Answer()
        {
            StreamReader input = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
            for (string line = input.ReadLine(); line != null; line = input.ReadLine())
            {
                List<string> fields = new List<string>();
                foreach (string field in line.Split(' '))
                    fields.Add(field == "-" ? null : Encoding.UTF8.GetString(Convert.FromBase64String(field)));
                try
                {
                    Console.WriteLine("ok " + Answered(fields));
                }
                catch (BadInputException error)
                {
                    Console.WriteLine("error " + error.Rule);
                }
            }
            return 0;
        }

        private static string Answered(List<string> fields)
        {
            switch (fields[0])
            {
                case "address": return Address.Parse(fields[1]).ToString();
                case "duration": return Lifetime.Duration(fields[1]).ToString(CultureInfo.InvariantCulture);
                case "moment": return Lifetime.Moment("until", fields[1]).ToString(CultureInfo.InvariantCulture);
                case "lifetime":
                    Lifetime read = Lifetime.Read(Number(fields[1]), fields[2], fields[3], fields[4] == "true", fields[5]);
                    return End(read.End) + (read.Relative ? " relative" : " absolute");
                case "plan": return Planned(fields);
                case "method": return HasMethod(fields[1], fields[2]) ? "yes" : "no";
                default: throw new ArgumentException(fields[0]);
            }
        }

        // state, relative|absolute, end, now, recorded end, in force end, guard
        private static string Planned(List<string> fields)
        {
            long now = Number(fields[4]);
            Known known = new Known { Recorded = fields[5] != null, InForce = fields[6] != null };
            if (known.Recorded)
                known.RecordedUntil = Number(fields[5]);
            if (known.InForce && fields[6] != "none")
                known.InForceUntil = Number(fields[6]);
            Step step = fields[1] == "absent"
                ? Planner.Release(known, now)
                : Planner.Respond(new Lifetime(Number(fields[3]), fields[2] == "relative"), known, now, fields[7]);
            return step.Action + " " + step.Outcome + " " + End(step.Until);
        }

        private static bool HasMethod(string type, string method)
        {
            Type found = typeof(Address).Assembly.GetType(type);
            return found != null && found.GetMember(method, BindingFlags.Public | BindingFlags.Static).Length > 0;
        }

        private static long Number(string text)
        {
            return text == "permanent" ? Lifetime.Permanent : Int64.Parse(text, CultureInfo.InvariantCulture);
        }

        private static string End(long end)
        {
            return end == Lifetime.Permanent ? "permanent" : end.ToString(CultureInfo.InvariantCulture);
        }
    }
}
