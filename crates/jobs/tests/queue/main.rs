//! The queue on both databases.

mod claiming;
mod keeping;
mod steps;
