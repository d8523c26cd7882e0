"""Room `authority`: who may change what is never read, and what is in force now (N6).

Read in this order: `record` (the signed mask record), `rules` (the decisions), `store` (the same on
a disk that may fail). The first two are pure.

In one sentence: what protects more takes effect at once on one signature; what protects less takes
two people or the city, and until it is confirmed both the old and the new protect.
"""
