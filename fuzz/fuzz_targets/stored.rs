//! Any bytes given to the decoder of each store: no panic, no more memory than they are worth, and
//! what was read comes back from what is written. And changes of requests that meet, by plain maps.
#![no_main]

use arbitrary::{Arbitrary as _, Unstructured};
use libfuzzer_sys::{Corpus, fuzz_target};
use liquid_session_fuzz::stored::{Counting, Plan, read};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|data: &[u8]| -> Corpus {
    if let Some((b'p', plan)) = data.split_first() {
        match Plan::arbitrary_take_rest(Unstructured::new(plan)) {
            Ok(plan) => plan.play(),
            Err(_) => return Corpus::Reject,
        }
    } else {
        read(data);
    }
    Corpus::Keep
});
