//! Sealed values: envelope encryption, key providers, rotation.
