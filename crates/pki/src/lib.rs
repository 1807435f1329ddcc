//! X.509, CSR, keys, PKCS#7, PKCS#12, lints and signing. No I/O, no database.
