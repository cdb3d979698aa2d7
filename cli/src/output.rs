//! Everything that the commands print: lines, a progress line, a table redrawn in place, JSON.
//!
//! Invariants: nothing else in this crate writes to stdout or stderr; with `--json`, stdout holds
//! JSON and nothing but; a line never tears a table: what is drawn in place is taken away first and
//! drawn again below. A reader that went away is no reason to stop the mesh: write errors are
//! ignored.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use crossterm::cursor::{Hide, MoveToColumn, MoveUp, Show};
use crossterm::terminal::{Clear, ClearType};
use crossterm::{QueueableCommand, style};

/// Where the lines for people go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// To stdout: they are the product.
    Stdout,
    /// To stderr: stdout is for JSON.
    Stderr,
}

/// The terminal, or what stands for it. Cheap to clone; one drawing for all clones.
#[derive(Debug, Clone)]
pub struct Console {
    screen: Arc<Mutex<Screen>>,
}

#[derive(Debug)]
struct Screen {
    lines: Lines,
    /// Whether drawing in place is possible.
    terminal: bool,
    /// What stands at the bottom and is redrawn in place.
    frame: Vec<String>,
    /// Terminal rows that the frame takes now.
    drawn: u16,
}

impl Console {
    /// A console for the lines of one command.
    pub fn new(lines: Lines) -> Self {
        let terminal = match lines {
            Lines::Stdout => std::io::stdout().is_terminal(),
            Lines::Stderr => std::io::stderr().is_terminal(),
        };
        Self {
            screen: Arc::new(Mutex::new(Screen {
                lines,
                terminal,
                frame: Vec::new(),
                drawn: 0,
            })),
        }
    }

    /// Whether a frame is redrawn in place; otherwise it is not shown at all.
    pub fn draws_in_place(&self) -> bool {
        self.screen().terminal
    }

    /// Prints one line (or several, split at line feeds) above the frame.
    pub fn say(&self, text: &str) {
        let mut screen = self.screen();
        screen.write(|screen, out| {
            screen.erase(out)?;
            for line in text.split('\n') {
                writeln!(out, "{line}")?;
            }
            screen.draw(out)
        });
    }

    /// Replaces what is drawn in place; no lines take it away.
    pub fn frame(&self, lines: Vec<String>) {
        let mut screen = self.screen();
        if !screen.terminal {
            return;
        }
        screen.write(|screen, out| {
            screen.erase(out)?;
            screen.frame = lines;
            screen.draw(out)
        });
    }

    /// Prints one JSON document in one line on stdout.
    pub fn json(&self, value: &serde_json::Value) {
        let _screen = self.screen();
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{value}");
        let _ = out.flush();
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        // A panic while drawing leaves at worst a torn line.
        self.screen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Screen {
    fn write(&mut self, draw: impl FnOnce(&mut Self, &mut dyn Write) -> std::io::Result<()>) {
        let mut buffer = Vec::new();
        if draw(self, &mut buffer).is_err() {
            return;
        }
        let _ = match self.lines {
            Lines::Stdout => flush(&mut std::io::stdout().lock(), &buffer),
            Lines::Stderr => flush(&mut std::io::stderr().lock(), &buffer),
        };
    }

    fn erase(&mut self, out: &mut dyn Write) -> std::io::Result<()> {
        if self.drawn == 0 {
            return Ok(());
        }
        out.queue(MoveUp(self.drawn))?
            .queue(MoveToColumn(0))?
            .queue(Clear(ClearType::FromCursorDown))?
            .queue(Show)?;
        self.drawn = 0;
        Ok(())
    }

    fn draw(&mut self, out: &mut dyn Write) -> std::io::Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        // A frame higher than the terminal could not be taken away again: its end is left out.
        let (columns, rows) = crossterm::terminal::size().unwrap_or((100, 40));
        let room = usize::from(rows.saturating_sub(1)).max(1);
        out.queue(Hide)?;
        let mut drawn = 0;
        for line in self.frame.iter().take(room) {
            let line: String = line.chars().take(usize::from(columns)).collect();
            out.queue(style::Print(line))?;
            out.write_all(b"\n")?;
            drawn += 1;
        }
        out.queue(Show)?;
        self.drawn = drawn;
        Ok(())
    }
}

fn flush(out: &mut impl Write, buffer: &[u8]) -> std::io::Result<()> {
    out.write_all(buffer)?;
    out.flush()
}

/// Prints an error with its causes, one to a line, on stderr.
pub fn error(error: &anyhow::Error) {
    let mut text = format!("weft: {error}");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("\n  {cause}"));
    }
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints text on stdout, for a command that answers and ends.
pub fn answer(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// Lays rows out in columns; the first row is the head.
pub fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let line = |row: &Vec<String>| {
        let mut text = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(&format!("{cell:<width$}  "));
        }
        text.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        let lines = columns(&[row(&["NAME", "READY"]), row(&["order-service-0", "yes"])]);
        assert_eq!(lines, ["NAME             READY", "order-service-0  yes"]);
    }

    #[test]
    fn a_line_is_printed_above_the_frame() {
        let mut screen = Screen {
            lines: Lines::Stdout,
            terminal: true,
            frame: vec!["table".to_owned()],
            drawn: 0,
        };
        let mut out = Vec::new();
        screen.draw(&mut out).unwrap();
        assert_eq!(screen.drawn, 1);
        screen.erase(&mut out).unwrap();
        assert_eq!(screen.drawn, 0);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("table\n"), "{text:?}");
        assert!(text.contains("\u{1b}[1A"), "{text:?}");
    }
}
