"""The gates: what a landed batch and a candidate must satisfy before anything moves on.

:mod:`~customer_marts.gates.suites` runs the Great Expectations suites of ``expectations/``;
:mod:`~customer_marts.gates.rules` turns a landing suite into the row rules that split a batch.
"""
