"""A faithful local copy of Meta's WhatsApp Cloud API: a program of its own, for demos, tests and benchmarks.

`docs/emulator.md` is its manual. The road of a send through the modules:

    server ─▶ graph (token, version, object) ─▶ sending ─▶ checks, templates, limits ─▶ ledger ─▶ answer
                                                   └─▶ scenarios, faults ─▶ statuses ─▶ outbox ─▶ the callback
"""
