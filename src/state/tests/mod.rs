//! The documents, and the store in a bucket under virtual time: races, lost answers, zombies.

mod documents;
