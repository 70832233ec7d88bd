//! The user's terminal while a program in a container uses it.

use std::io::{IsTerminal, Read};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc;

/// Chunks of input on their way to the container.
const CHUNKS: usize = 16;
const CHUNK: usize = 8 * 1024;

/// Whether standard input and output are a terminal.
pub(super) fn is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Rows and columns.
pub(super) fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    Some((size.ws_row, size.ws_col)).filter(|(rows, columns)| *rows > 0 && *columns > 0)
}

/// Passes every key on, Ctrl-C too, until it is dropped.
pub(super) struct RawMode(Termios);

impl RawMode {
    /// `None` when standard input is no terminal.
    pub(super) fn begin() -> Option<Self> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0).ok();
    }
}

/// What the user types or pipes. A thread of its own reads it: a read of a terminal cannot be
/// cancelled, and must not keep this process from ending.
pub(super) fn input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    std::thread::spawn(move || {
        let mut chunk = vec![0; CHUNK];
        while let Ok(read) = std::io::stdin().read(&mut chunk)
            && read > 0
            && sender.blocking_send(chunk[..read].to_vec()).is_ok()
        {}
    });
    receiver
}
