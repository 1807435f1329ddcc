//! A real server in process on either database, agents, clock, builders.
