//! The frames of envelopes that the gateway makes of what it knows about others: each fits the bound of its type.

use crate::frame;
use bytes::Bytes;
use envelope::catalogue;

/// A frame of the envelope `kind`, whose JSON is these pieces together.
pub(crate) fn frame(kind: &str, pieces: &[&[u8]]) -> Bytes {
    debug_assert!(
        catalogue::find(kind).is_some_and(|known| pieces
            .iter()
            .map(|piece| piece.len())
            .sum::<usize>()
            <= known.bytes_max),
        "an envelope {kind} is above the bound of its type"
    );
    frame::text_of_pieces(pieces)
}
