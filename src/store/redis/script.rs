//! The scripts, and what they answer.

use ::redis::Value as Reply;

use super::fields::Fields;
use crate::error::Error;
use crate::limits::Size;
use crate::record::damaged;

/// A script and the name that a server gives it: the SHA-1 of its text.
pub(super) struct Script {
    pub(super) text: &'static str,
    pub(super) name: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        let name = ::redis::Script::new(text).get_hash().to_owned();
        Self { text, name }
    }
}

pub(super) struct Scripts {
    pub(super) create: Script,
    pub(super) commit: Script,
    pub(super) touch: Script,
    pub(super) destroy: Script,
    pub(super) user: Script,
    pub(super) sweep: Script,
    pub(super) read: Script,
    pub(super) give_back: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            create: Script::new(include_str!("create.lua")),
            commit: Script::new(include_str!("commit.lua")),
            touch: Script::new(include_str!("touch.lua")),
            destroy: Script::new(include_str!("destroy.lua")),
            user: Script::new(include_str!("user.lua")),
            sweep: Script::new(include_str!("sweep.lua")),
            read: Script::new(include_str!("read.lua")),
            give_back: Script::new(include_str!("give_back.lua")),
        }
    }
}

/// Keys and arguments of one run of a script.
#[derive(Default)]
pub(super) struct Args {
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) args: Vec<Vec<u8>>,
}

impl Args {
    pub(super) fn key(mut self, key: Vec<u8>) -> Self {
        self.keys.push(key);
        self
    }

    pub(super) fn arg(mut self, arg: impl Into<Vec<u8>>) -> Self {
        self.args.push(arg.into());
        self
    }
}

/// What a script answered: a word, and what belongs to it.
pub(super) struct Answer {
    pub(super) word: String,
    rest: std::vec::IntoIter<Reply>,
}

impl Answer {
    pub(super) fn of(reply: Reply) -> Result<Self, Error> {
        let mut rest = list(reply)?.into_iter();
        let word = rest.next().map(bytes).transpose()?.unwrap_or_default();
        Ok(Self {
            word: String::from_utf8(word).map_err(|_| damaged())?,
            rest,
        })
    }

    pub(super) fn reply(&mut self) -> Result<Reply, Error> {
        self.rest.next().ok_or_else(damaged)
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, Error> {
        bytes(self.reply()?)
    }

    pub(super) fn list(&mut self) -> Result<Vec<Reply>, Error> {
        list(self.reply()?)
    }

    pub(super) fn number(&mut self) -> Result<usize, Error> {
        number(self.reply()?)
    }

    /// Bytes and keys.
    pub(super) fn size(&mut self) -> Result<Size, Error> {
        Ok(Size {
            bytes: self.number()?,
            keys: self.number()?,
        })
    }
}

pub(super) fn list(reply: Reply) -> Result<Vec<Reply>, Error> {
    match reply {
        Reply::Array(items) | Reply::Set(items) => Ok(items),
        _ => Err(damaged()),
    }
}

pub(super) fn bytes(reply: Reply) -> Result<Vec<u8>, Error> {
    match reply {
        Reply::BulkString(bytes) => Ok(bytes),
        Reply::SimpleString(text) => Ok(text.into()),
        _ => Err(damaged()),
    }
}

pub(super) fn maybe_bytes(reply: Reply) -> Result<Option<Vec<u8>>, Error> {
    match reply {
        Reply::Nil => Ok(None),
        other => bytes(other).map(Some),
    }
}

pub(super) fn number(reply: Reply) -> Result<usize, Error> {
    let number = match reply {
        Reply::Int(number) => usize::try_from(number).ok(),
        other => std::str::from_utf8(&bytes(other)?)
            .ok()
            .and_then(|text| text.parse().ok()),
    };
    number.ok_or_else(damaged)
}

/// Names and values of a hash, which the two versions of the protocol send in two shapes.
pub(super) fn pairs(reply: Reply) -> Result<Fields, Error> {
    match reply {
        Reply::Map(pairs) => pairs
            .into_iter()
            .map(|(name, value)| Ok((bytes(name)?, bytes(value)?)))
            .collect(),
        other => {
            let mut items = list(other)?.into_iter();
            let mut pairs = Vec::with_capacity(items.len() / 2);
            while let Some(name) = items.next() {
                let value = items.next().ok_or_else(damaged)?;
                pairs.push((bytes(name)?, bytes(value)?));
            }
            Ok(pairs)
        }
    }
}
