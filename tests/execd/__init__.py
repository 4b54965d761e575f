# SPDX-License-Identifier: GPL-3.0-or-later
"""What Wazuh's daemon expects of an executable, as a suite that any executable can be run through; and a stand-in for the daemon.

    cd WAZUH_HOME && python -m tests.execd --effects 'LIST COMMAND' active-response/bin/firewall-drop

`cases.py` is the table, `called.py` calls an executable as wazuh-execd does, `suite.py` runs and judges, `reference.py` is an executable that
keeps to the protocol and several that do not, `driver.py` behaves as wazuh-execd. All but the driver run wherever Python 3.9 does; nothing but
the standard library is used, so that the directory can be copied onto the host where the executable is.
"""
