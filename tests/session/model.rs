//! The session against a model of its promises: every interleaving of short requests, and long random
//! ones. The fuzz target `stored` plays the same model on the stored forms.

mod exhaustive;
mod random;
mod scene;
mod three;
mod world;
