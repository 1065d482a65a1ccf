//! What only a store in a file can get wrong. The promises that it shares with every other store
//! are in the acceptance suite.

mod bytes;
mod damage;
mod faults;
mod files;
mod fixtures;
mod promises;
mod support;
