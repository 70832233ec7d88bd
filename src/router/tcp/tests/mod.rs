//! TCP routes over real sockets: scripted instances behind them, and clients that speak first, last
//! or not at all.

mod connections;
mod harness;
mod ports;
