//! `/keyfactor_agents`.
