# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of alerts, batches and answers; those of approvals and offences are with their code."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE alert (
  number INTEGER PRIMARY KEY,        -- in the order they came
  id TEXT NOT NULL UNIQUE,
  mark TEXT NOT NULL,                -- who raised it: another alert with the same id has another
  happened REAL NOT NULL,            -- epoch seconds, as all moments: when it was raised, never later than it came
  received REAL NOT NULL,            -- when it was accepted: timeouts count from here
  state TEXT NOT NULL CHECK (state IN ('new', 'taken', 'answered', 'failed')),
  approved REAL,                     -- when a person last approved something of it: it is new again then, and its age counts from there
  batch INTEGER,                     -- the last one it was in
  planned INTEGER,                   -- the last batch whose plan has dealt with it
  attempts INTEGER NOT NULL DEFAULT 0,  -- runs that ended without a word about it
  waits INTEGER NOT NULL DEFAULT 0,     -- runs that did not reach all of its hosts
  due REAL NOT NULL,                 -- when it may be taken
  ended REAL,
  why TEXT NOT NULL DEFAULT '',
  body TEXT NOT NULL                 -- JSON, as it came
);
CREATE INDEX alert_open ON alert (due, number, state, attempts, happened, approved) WHERE ended IS NULL;
CREATE INDEX alert_taken ON alert (batch) WHERE state = 'taken';
CREATE INDEX alert_ended ON alert (ended) WHERE ended IS NOT NULL;
CREATE TABLE batch (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  state TEXT NOT NULL CHECK (state IN ('handed', 'running', 'ended')),
  alerts INTEGER NOT NULL,
  handed REAL NOT NULL,
  begun REAL,
  pid INTEGER,                       -- of its ansible-playbook
  ended REAL,
  how TEXT NOT NULL DEFAULT ''
);
CREATE INDEX batch_open ON batch (id) WHERE state != 'ended';
CREATE TABLE response (
  alert INTEGER NOT NULL REFERENCES alert (number) ON DELETE CASCADE,
  host TEXT NOT NULL,
  response TEXT NOT NULL,
  target TEXT NOT NULL,
  outcome TEXT,                      -- NULL: planned, no word yet
  message TEXT NOT NULL DEFAULT '',
  moment REAL,
  PRIMARY KEY (alert, host, response, target)
) WITHOUT ROWID;
CREATE INDEX response_done ON response (moment) WHERE outcome = 'done';
CREATE TABLE dead (
  digest TEXT PRIMARY KEY,
  received REAL NOT NULL,
  why TEXT NOT NULL,
  body TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
