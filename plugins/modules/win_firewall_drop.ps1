#!powershell

# Copyright: riposte.active_response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

#AnsibleRequires -CSharpUtil Ansible.Basic
#AnsibleRequires -CSharpUtil ansible_collections.riposte.active_response.plugins.module_utils.FirewallDropModule

$spec = [Riposte.ActiveResponse.FirewallDropModule]::Spec()
$module = [Ansible.Basic.AnsibleModule]::Create($args, $spec)

$failure = [Riposte.ActiveResponse.FirewallDropModule]::Run($module)
if ($failure) {
    $module.FailJson($failure)
}
$module.ExitJson()
