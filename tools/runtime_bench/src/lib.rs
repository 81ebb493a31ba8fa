//! What a cold start costs, over all drivers: time, mem, doctor, report.
