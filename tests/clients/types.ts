// What the generated declarations promise, checked by `tsc --noEmit`.
import type { ClientEnvelope, ServerChatMessage, ServerEnvelope } from "../../docs/reference/envelopes";

// Each branch knows its members, and the union has no other types.
export function summary(envelope: ServerEnvelope): string {
  switch (envelope.type) {
    case "connected":
      return `${envelope.connectionId} ${envelope.serverTime.toFixed()} ${envelope.protocol.version}`;
    case "server_users":
      return envelope.users.map((user) => `${user.oderId} ${user.verified ? "proven" : "claimed"}`).join();
    case "plugin_requirements":
      return envelope.requirements.map((requirement) => requirement.pluginId + requirement.status).join() + envelope.revision.toFixed();
    case "chat_message":
      return `${envelope.senderName}: ${typeof envelope.message === "string" ? envelope.message : "object"} in ${envelope.serverId}`;
    case "plugin_error":
      return (envelope.violations ?? []).map((violation) => violation.pointer).join();
    default:
      return envelope.type;
  }
}

export const sent: ClientEnvelope[] = [
  { type: "identify", displayName: "Alice", plugins: [{ id: "example.polls", version: "1.0.0" }] },
  { type: "join_server", serverId: "s1" },
  { type: "chat_message", message: "hello", timestamp: "2026-01-01T00:00:00Z" },
  { type: "offer", targetUserId: "bob", sdp: { type: "offer" } },
  { type: "status_update", status: "away" },
];

// @ts-expect-error: no such presence
export const wrongStatus: ClientEnvelope = { type: "status_update", status: "asleep" };
// @ts-expect-error: a call has a target
export const noTarget: ClientEnvelope = { type: "offer" };
// @ts-expect-error: only the server says this
export const notOurs: ClientEnvelope = { type: "user_joined", serverId: "s1", oderId: "a", displayName: "A", status: "online", verified: true };
// @ts-expect-error: the server always names the sender
export const unsigned: ServerChatMessage = { type: "chat_message", serverId: "s1", message: "hello" };
