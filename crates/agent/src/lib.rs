//! The orchestrator agent: session, journal and job runner on top of the store drivers.
