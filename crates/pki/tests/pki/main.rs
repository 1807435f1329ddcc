//! The tests of the crate from outside, in one program: linking is what takes time.

#[cfg(test)]
mod foreign;
#[cfg(test)]
mod issuing;
#[cfg(test)]
mod openssl;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod support;
