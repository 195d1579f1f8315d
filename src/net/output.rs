//! From answered exchanges to the socket: responses in pieces, with the records in between sent from where they lie.

use std::io::{self, IoSlice};

use crate::api::Context;
use crate::api::exchange::{Exchange, Fate};
use crate::runtime::net::Socket;
use crate::shard::message::Data;

/// Pieces that are gathered for one send.
const PIECES_MAX: usize = 64;

/// Sends responses whole and in order, in as few system calls as their pieces allow.
pub async fn send(context: &Context, socket: &Socket, exchanges: &[Box<Exchange>]) -> io::Result<()> {
    let mut gather = Gather { socket, pieces: [IoSlice::new(&[]); PIECES_MAX], count: 0 };
    for exchange in exchanges.iter().filter(|exchange| exchange.response.fate == Fate::Send) {
        send_response(context, &mut gather, exchange).await?;
    }
    gather.flush().await
}

async fn send_response<'a>(context: &Context, gather: &mut Gather<'a>, exchange: &'a Exchange) -> io::Result<()> {
    let response = &exchange.response;
    let mut from = 0;
    for (splice, source) in response.splices.iter().zip(&response.sources) {
        let Some((read, item)) = *source else { continue };
        let data = &exchange.reads[read].items[item].data;
        if splice.len == 0 {
            continue;
        }
        gather.push(&response.bytes[from..splice.at]).await?;
        from = splice.at;
        context.metrics.sent(data.tier, splice.len);
        send_data(gather, data).await?;
    }
    gather.push(&response.bytes[from..]).await
}

async fn send_data<'a>(gather: &mut Gather<'a>, data: &'a Data) -> io::Result<()> {
    for slice in &data.out.slices {
        gather.push(slice.as_slice()).await?;
    }
    if let Some((file, range)) = &data.file {
        gather.flush().await?;
        gather.socket.send_file(file, range.clone()).await?;
    }
    Ok(())
}

/// Collects pieces, so that one system call sends many.
struct Gather<'a> {
    socket: &'a Socket,
    pieces: [IoSlice<'a>; PIECES_MAX],
    count: usize,
}

impl<'a> Gather<'a> {
    async fn push(&mut self, piece: &'a [u8]) -> io::Result<()> {
        if self.count == PIECES_MAX {
            self.flush().await?;
        }
        self.pieces[self.count] = IoSlice::new(piece);
        self.count += 1;
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        let count = std::mem::take(&mut self.count);
        match count {
            0 => Ok(()),
            _ => self.socket.send(&self.pieces[..count]).await,
        }
    }
}
