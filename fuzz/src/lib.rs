//! What the targets share.

pub mod engine;
pub mod stored;
pub mod template;

/// What a store of one session has no use for.
#[macro_export]
macro_rules! nothing_for_operators {
    () => {
        fn user_index(
            &self,
            _user: &str,
            _now: liquid_session::clock::Timestamp,
        ) -> Result<Vec<liquid_session::store::IndexLine>, liquid_session::Error> {
            Ok(Vec::new())
        }

        fn sweep(
            &self,
            _now: liquid_session::clock::Timestamp,
            _max: usize,
        ) -> Result<usize, liquid_session::Error> {
            Ok(0)
        }

        fn scan(
            &self,
            _now: liquid_session::clock::Timestamp,
            _visit: &mut dyn FnMut(
                &liquid_session::store::StoreKey,
                &liquid_session::store::Record,
            ) -> bool,
        ) -> Result<(), liquid_session::Error> {
            Ok(())
        }

        fn ping(&self) -> Result<(), liquid_session::Error> {
            Ok(())
        }

        fn may_block(&self) -> bool {
            false
        }
    };
}
