//! The consortium: members and their admission, contributed signals, epochs, keyed tags, the transparency log,
//! metering and joint scoring; bytes in, bytes out, with no sockets and no clock of its own. It comes with its own
//! issue; until then it holds the place in the dependency order (`engine` ← `consortium` ← `api`) and nothing else.
