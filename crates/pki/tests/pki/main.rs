//! The tests of the crate from outside, in one program: linking is what takes time.

#[cfg(test)]
mod chains;
#[cfg(test)]
mod contents;
#[cfg(test)]
mod damaged;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod forge;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod issuing;
#[cfg(test)]
mod key_stores;
#[cfg(test)]
mod openssl;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod support;
#[cfg(test)]
mod validators;
