# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy would make of alerts of the past: nothing is done, and their own clock counts.

The alerts of one minute are taken for one run. What only a host knows (its addresses, its gateways, what stands there already) is not known here.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..host.errors import BadInput
from ..host.guard import FIXED, Account, AccountGuard, AddressGuard, Guard, GuardFile, Refused
from ..host.kind import kind_of
from ..host.lifetime import moment_text, parse_moment
from .alert import Alert
from .allow import allow_list
from .breakers import HOUR, MINUTE, Earlier
from .inventory import Inventory
from .match import Match
from .observables import USER
from .plan import HELD, NOTHING, PENDING, PLANNED, WOULD, Decision, Past, make_plan
from .policy import Hosts, Policy, Response

REFUSED = "refused"  # by the guard, as far as that can be told here
OUTCOMES = (PLANNED, WOULD, PENDING, HELD, REFUSED, NOTHING)
MOST_UNANSWERED = 1000
_ROOT = {"root": Account("root", 0, 0, frozenset())}


class GuardWords:
    """What the guard of every host says, by what is the same on all of them and, if there is one, by their common guard file."""

    def __init__(self, file: GuardFile) -> None:
        self._file = file
        self._guards: dict[tuple[str, tuple[str, ...]], Guard] = {}

    def about(self, response: Response, target: str) -> str:
        override = tuple(response.options.get("override", ()))
        key = (response.response, override)
        if key not in self._guards:
            self._guards[key] = self._guard(response, override)
        try:
            self._guards[key].check(kind_of(response.response).target(target))
        except (Refused, BadInput) as error:
            return str(error)
        return ""

    def _guard(self, response: Response, override: Sequence[str]) -> Guard:
        if response.observable == USER:
            return AccountGuard(self._file, _ROOT, frozenset(), frozenset(), 1, (), override)
        guard = AddressGuard(self._file, override)
        for name, network in FIXED:
            guard.protect(name, f"a {name.replace('_', '-')} address ({network})", [network])
        guard.protect("never", "on the never-list of the guard file", self._file.addresses)
        return guard


@dataclass
class _Unanswered:
    example: str
    alerts: int = 0


@dataclass
class Rehearsed:
    """acting, nothing: the first `most` decisions of each sort that a rule of the policy made. unanswered: what no rule wanted, by Wazuh rule and reason."""

    most: int
    alerts: int = 0
    runs: int = 0
    first: float | None = None
    last: float | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    held_by: Counter[str] = field(default_factory=Counter)
    rules: dict[tuple[str, str, str], Counter[str]] = field(default_factory=dict)
    unanswered: dict[tuple[str, str], _Unanswered] = field(default_factory=dict)
    acting: list[dict[str, Any]] = field(default_factory=list)
    nothing: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        decisions = (self.acting + self.nothing)[: self.most]
        unanswered = sorted(self.unanswered.items(), key=lambda each: -each[1].alerts)
        return {
            "alerts": self.alerts,
            "runs": self.runs,
            "first": moment_text(self.first),
            "last": moment_text(self.last),
            "outcomes": {outcome: self.outcomes[outcome] for outcome in OUTCOMES},
            "held_by": dict(self.held_by),
            "rules": [
                {"rule": rule, "mode": mode, "response": response, **{outcome: counts[outcome] for outcome in OUTCOMES}}
                for (rule, mode, response), counts in self.rules.items()
            ],
            "unanswered": [{"alert_rule": rule, "alerts": each.alerts, "example": each.example, "why": why} for (rule, why), each in unanswered],
            "decisions": decisions,
            "left_out": sum(sum(counts.values()) for counts in self.rules.values()) - len(decisions),
        }


class Rehearsal:
    """Hears alerts in the order in which they came."""

    def __init__(self, policy: Policy, inventory: Inventory, guard: GuardFile | None = None, most: int = 1000) -> None:
        self._policy = policy
        self._inventory = inventory
        self._guard = GuardWords(guard or GuardFile())
        allow_list(policy.allow, inventory.addresses)  # what is wrong with it shows without alerts too
        self._rules = {rule.name: rule for rule in policy.rules}
        self._seen: set[str] = set()
        self._run: list[Alert] = []
        self._moment = 0.0  # of the run's first alert
        self._blocks: deque[tuple[float, Earlier]] = deque()  # by when they were begun
        self._accounts: deque[tuple[float, Earlier]] = deque()
        self.result = Rehearsed(most)
        for rule in policy.rules:
            for response in rule.responses:
                self.result.rules.setdefault((rule.name, rule.mode, response.response), Counter())

    def hear(self, alert: Alert) -> None:
        self.result.alerts += 1
        if alert.id in self._seen:
            self._unanswered(Decision(alert.id, alert.rule_id, NOTHING, "an alert with this id came before; an id is answered once"))
            return
        self._seen.add(alert.id)
        moment = _moment(alert, self._moment)
        if self._run and moment // MINUTE != self._moment // MINUTE:
            self.play()
        if not self._run:
            self._moment = moment
        self._run.append(alert)
        self.result.first = moment if self.result.first is None else min(moment, self.result.first)
        self.result.last = moment if self.result.last is None else max(moment, self.result.last)

    def play(self) -> None:
        """The run that the alerts heard so far make; to be called after the last one, too."""
        if not self._run:
            return
        for begun, seconds in ((self._blocks, MINUTE), (self._accounts, HOUR)):
            while begun and begun[0][0] <= self._moment - seconds:
                begun.popleft()
        earlier = [each._replace(ago=self._moment - moment) for begun in (self._blocks, self._accounts) for moment, each in begun]
        plan = make_plan(self._run, self._policy, self._inventory, past=Past(earlier))
        self.result.runs += 1
        for decision in plan.decisions:
            if decision.rule:
                self._decided(decision)
            else:
                self._unanswered(decision)
        self._run = []

    def _decided(self, decision: Decision) -> None:
        response = self._rules[decision.rule].responses[decision.position]
        outcome = HELD if decision.held_by else decision.outcome
        if outcome in (PLANNED, WOULD):
            account = response.observable == USER
            begun = self._accounts if account else self._blocks
            begun.append((self._moment, Earlier(0, account, decision.target, decision.outcome == WOULD)))
        words = self._guard.about(response, decision.target) if outcome in (PLANNED, WOULD, PENDING) else ""
        if words:
            outcome = REFUSED
            decision = replace(decision, outcome=REFUSED, why=f"{decision.why}; each host's guard refuses it: {words}")
        self.result.outcomes[outcome] += 1
        self.result.rules[decision.rule, decision.mode, decision.response][outcome] += 1
        if decision.held_by:
            self.result.held_by[decision.held_by] += 1
        rows = self.result.nothing if outcome == NOTHING else self.result.acting
        if len(rows) < self.result.most:
            rows.append(decision.as_dict())

    def _unanswered(self, decision: Decision) -> None:
        self.result.outcomes[NOTHING] += 1
        key = (decision.alert_rule, decision.why)
        if key in self.result.unanswered or len(self.result.unanswered) < MOST_UNANSWERED:
            self.result.unanswered.setdefault(key, _Unanswered(decision.alert_id)).alerts += 1


def _moment(alert: Alert, otherwise: float) -> float:
    try:
        return parse_moment("timestamp", alert.timestamp or "")
    except BadInput:
        return otherwise


def described(policy: Policy) -> list[dict[str, str]]:
    """The policy in words, one row a response."""
    return [
        {
            "rule": rule.name,
            "mode": rule.mode,
            "match": _match(rule.match),
            "response": each.response,
            "of": each.observable,
            "hosts": _hosts(each.hosts),
            "stands": _stands(each),
        }
        for rule in policy.rules
        for each in rule.responses
    ]


def _match(match: Match) -> str:
    parts = [("rule_ids", match.rule_ids), ("groups", match.groups), ("mitre", match.mitre), ("agents", match.agents)]
    words = [f"{name} {' or '.join(values)}" for name, values in parts if values]
    words += [f"level {match.level} or more"] if match.level else []
    return " and ".join(words + [f"{each.path} is {' or '.join(each.values)}" for each in match.fields])


def _hosts(hosts: Hosts) -> str:
    return " ".join([hosts.kind, ", ".join(hosts.groups or hosts.agents)]).strip()


def _stands(response: Response) -> str:
    options = response.options
    if "timeout" not in options:
        return f"until {options['until']}" if "until" in options else "permanently"
    repeats = options.get("repeated_offenders", ())
    return ", then ".join([options["timeout"], *repeats]) + " (offences of the whole fleet count)" * response.fleet
