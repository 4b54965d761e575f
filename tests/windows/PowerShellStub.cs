// Copyright: riposte.active_response contributors
// SPDX-License-Identifier: GPL-3.0-or-later
using System;
using System.Collections.ObjectModel;

// As much of PowerShell as Ansible.Basic names, so that ansible-core's own Ansible.Basic compiles and runs under Mono.
// Without a runspace it reads its arguments from a file and writes JSON by itself.
namespace System.Management.Automation
{
    public class PSObject
    {
        public object BaseObject { get; set; }
    }

    public class InvocationInfo
    {
        public string PositionMessage { get; set; }
    }

    public class ErrorRecord
    {
        public InvocationInfo InvocationInfo { get; set; }
        public object CategoryInfo { get; set; }
        public string FullyQualifiedErrorId { get; set; }
        public string ScriptStackTrace { get; set; }
    }

    public class ScriptBlock
    {
        public static ScriptBlock Create(string script)
        {
            throw new NotSupportedException("no PowerShell here: " + script);
        }

        public Collection<PSObject> Invoke(params object[] arguments)
        {
            throw new NotSupportedException("no PowerShell here");
        }
    }
}

namespace System.Management.Automation.Runspaces
{
    public class Runspace
    {
        public static Runspace DefaultRunspace { get { return null; } }
    }
}
