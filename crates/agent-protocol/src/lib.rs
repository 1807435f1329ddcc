//! The wire types of /KeyfactorAgents, shared by server and agent. No behaviour.
