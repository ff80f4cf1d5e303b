"""The report of a benchmark: what was run, what came out, how sure that is, beside what the papers published."""
