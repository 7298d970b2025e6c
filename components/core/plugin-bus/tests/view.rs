//! What plugins see of an envelope, and what they can change of it.

use plugin_bus::{ChatView, EventView};

#[test]
fn another_text_changes_nothing_else() {
    for (envelope, text, changed) in [
        (
            r#"{ "type":"chat_message", "message":"he\u0063k", "extra" : 1.0 }"#,
            "heck",
            r#"{ "type":"chat_message", "message":"\"new\"", "extra" : 1.0 }"#,
        ),
        (
            r#"{"message":{"content":"a","text":"b"},"channelId":"general"}"#,
            "a",
            r#"{"message":{"content":"\"new\"","text":"b"},"channelId":"general"}"#,
        ),
        (
            r#"{"message":{"text":"b"}}"#,
            "b",
            r#"{"message":{"text":"\"new\""}}"#,
        ),
    ] {
        let view = ChatView::read(envelope.as_bytes()).expect("a chat message");
        assert_eq!(view.text, text);
        let rewritten = view.with_text("\"new\"").expect("a text to replace");
        assert_eq!(&*rewritten, changed.as_bytes());
    }
}

#[test]
fn a_message_without_a_text_stays_as_it_is() {
    let view = ChatView::read(br#"{"message":{"image":"x"}}"#).expect("a chat message");
    assert_eq!((view.text.as_str(), view.with_text("new")), ("", None));
    assert!(ChatView::read(b"{}").is_none());
}

#[test]
fn an_event_without_stamps_is_read_as_well() {
    let event = EventView::read(br#"{"payload":{"a":1},"emittedAt":7}"#).expect("JSON");
    assert_eq!((event.payload(), event.emitted_at_ms()), (r#"{"a":1}"#, 7));
    let bare = EventView::read(b"{}").expect("JSON");
    assert_eq!((bare.payload(), bare.emitted_at_ms()), ("null", 0));
}
