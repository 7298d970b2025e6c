// Generated from the envelope table by `cargo xtask gen`; do not edit.
// Envelope contract version 1.1. Dispatch on `type`; unknown types and members may appear at any time.

/** A time as milliseconds since 1970 or as ISO 8601 text, passed on as it was given. */
export type Time = number | string;

/** Says who is there; comes before everything else. */
export interface ClientIdentify {
  type: "identify";
  /** The identity; a UUID is made when it is missing. */
  oderId?: string | null;
  /** Display name. */
  displayName?: string | null;
  /** Usually the signalling URL. */
  connectionScope?: string | null;
  /** Profile text. */
  description?: string | null;
  /** Version of the profile. */
  profileUpdatedAt?: Time | null;
  /** JSON Web Token whose subject is `oderId`. */
  token?: string | null;
  /** Ed25519 public key, base64url. */
  key?: string | null;
  /** Ed25519 signature that proves the key, base64url. */
  proof?: string | null;
  /** Bind `key` to `oderId` from now on. */
  lock?: boolean | null;
  /** Declared plugins. */
  plugins?: Array<{
    /** A plugin that the client has. */
    id: string;
    /** Its version. */
    version?: string | null;
  }> | null;
  /** Features of `connected.protocol` that the client understands. */
  features?: string[] | null;
  /** Version of the contract the client speaks; 1.0 when missing. */
  protocol?: string | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
}

/** A sign of life, answered at most once per ping interval. */
export interface ClientKeepalive {
  type: "keepalive";
}

/** Presence of an identity. */
export interface ClientStatusUpdate {
  type: "status_update";
  /** The new presence. */
  status: "online" | "away" | "busy" | "offline";
  /** Whose it is. */
  oderId?: string | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
}

/** Joins a server; answered by `server_users` and `plugin_requirements`, or by `access_denied`. */
export interface ClientJoinServer {
  type: "join_server";
  /** The chat server. */
  serverId: string;
  /** For a server with a password. */
  password?: string | null;
  /** For a server that asks for an invite. */
  inviteToken?: string | null;
  /** First roster entry wanted, for clients that page rosters. */
  rosterOffset?: number | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
}

/** As `join_server`, without becoming present. */
export interface ClientViewServer {
  type: "view_server";
  /** The chat server. */
  serverId: string;
  /** For a server with a password. */
  password?: string | null;
  /** For a server that asks for an invite. */
  inviteToken?: string | null;
  /** First roster entry wanted, for clients that page rosters. */
  rosterOffset?: number | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
}

/** Leaves a server, or ends viewing it. */
export interface ClientLeaveServer {
  type: "leave_server";
  /** The chat server; when missing, the sole joined (else viewed) one. */
  serverId?: string | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
}

/** A message to a server. Not stored. */
export interface ClientChatMessage {
  type: "chat_message";
  /** The chat server; when missing, the sole joined (else viewed) one. */
  serverId?: string | null;
  /** The message. */
  message: string | { [member: string]: unknown };
  /** The sender's identity, or that of a known plugin. */
  senderId?: string | null;
  /** The sender's display name. */
  senderName?: string | null;
  /** The sender's clock. */
  timestamp?: Time | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Somebody types, or stops. */
export interface ClientTyping {
  type: "typing";
  /** The chat server; when missing, the sole joined (else viewed) one. */
  serverId?: string | null;
  /** Begin or end. */
  isTyping: boolean;
  /** The channel. */
  channelId?: string | null;
  /** Who types. */
  oderId?: string | null;
  /** The display name. */
  displayName?: string | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Voice presence of one connection, passed on and not stored. */
export interface ClientVoiceState {
  type: "voice_state";
  /** The chat server; when missing, the sole joined (else viewed) one. */
  serverId?: string | null;
  /** Muted, deafened, room; flat members do as well (D1). */
  voiceState?: unknown;
  /** Whose it is. */
  oderId?: string | null;
  /** The display name. */
  displayName?: string | null;
  /** Which device. */
  connectionId?: string | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** WebRTC session offer. */
export interface ClientOffer {
  type: "offer";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** WebRTC session answer. */
export interface ClientAnswer {
  type: "answer";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** WebRTC candidate. */
export interface ClientIceCandidate {
  type: "ice_candidate";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** A call between two people. */
export interface ClientDirectCall {
  type: "direct-call";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** A message to one person. */
export interface ClientDirectMessage {
  type: "direct-message";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Delivery and reading of a direct message. */
export interface ClientDirectMessageStatus {
  type: "direct-message-status";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Edit or deletion of a direct message. */
export interface ClientDirectMessageMutation {
  type: "direct-message-mutation";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** A conversation's history from a peer. */
export interface ClientDirectMessageSync {
  type: "direct-message-sync";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Asks a peer for a conversation's history. */
export interface ClientDirectMessageSyncRequest {
  type: "direct-message-sync-request";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** The sender has the server's icon in this version. */
export interface ClientServerIconAvailable {
  type: "server_icon_available";
  /** The chat server; when missing, the sole joined (else viewed) one. */
  serverId?: string | null;
  /** The version. */
  iconUpdatedAt: Time;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
}

/** Asks who has a newer icon; answered by `server_icon_sync_peers`. */
export interface ClientServerIconSyncRequest {
  type: "server_icon_sync_request";
  /** The chat server; when missing, the sole joined (else viewed) one. */
  serverId?: string | null;
  /** The version the sender has. */
  iconUpdatedAt?: Time | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
}

/** Asks a peer for the icon. */
export interface ClientServerIconPeerRequest {
  type: "server_icon_peer_request";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** The icon. */
export interface ClientServerIconPeerData {
  type: "server_icon_peer_data";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** A registered event of a plugin, validated and then relayed. */
export interface ClientPluginEvent {
  type: "plugin_event";
  /** The chat server. */
  serverId: string;
  /** The plugin. */
  pluginId: string;
  /** The event. */
  eventName: string;
  /** What the event's schema allows. */
  payload?: unknown;
  /** Required by scope `channel`. */
  channelId?: string | null;
  /** The receiver, for scope `user`. */
  targetUserId?: string | null;
  /** The plugin's own identity, when the plugin is known here. */
  sourcePluginUserId?: string | null;
  /** The sender's identity. */
  sourceUserId?: string | null;
  /** The server's clock. */
  emittedAt?: number | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Whatever a client may send. */
export type ClientEnvelope =
  | ClientIdentify
  | ClientKeepalive
  | ClientStatusUpdate
  | ClientJoinServer
  | ClientViewServer
  | ClientLeaveServer
  | ClientChatMessage
  | ClientTyping
  | ClientVoiceState
  | ClientOffer
  | ClientAnswer
  | ClientIceCandidate
  | ClientDirectCall
  | ClientDirectMessage
  | ClientDirectMessageStatus
  | ClientDirectMessageMutation
  | ClientDirectMessageSync
  | ClientDirectMessageSyncRequest
  | ClientServerIconAvailable
  | ClientServerIconSyncRequest
  | ClientServerIconPeerRequest
  | ClientServerIconPeerData
  | ClientPluginEvent;

/** The first frame on every connection. */
export interface ServerConnected {
  type: "connected";
  /** This connection's id, a UUID. */
  connectionId: string;
  /** The server's clock. */
  serverTime: number;
  /** What this server speaks. */
  protocol: {
    /** Version of the envelope contract. */
    version: string;
    /** Oldest version that is understood. */
    min: string;
    /** What the server offers beyond version 1.0. */
    features: string[];
    /** Sizes, rates and times that a client should know, units in the names. */
    limits: unknown;
  };
}

/** A sign of life, answered at most once per ping interval. */
export interface ServerKeepalive {
  type: "keepalive";
}

/** Presence of an identity. */
export interface ServerStatusUpdate {
  type: "status_update";
  /** The new presence. */
  status: "online" | "away" | "busy" | "offline";
  /** Whose it is. */
  oderId: string;
  /** Where it is told. */
  serverId: string;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
}

/** A join or view was refused; the connection stays open. */
export interface ServerAccessDenied {
  type: "access_denied";
  /** The chat server. */
  serverId: string;
  /** A sentence for people. */
  reason: string;
  /** A code for programs. */
  code: string;
  /** When trying again makes sense. */
  retryAfterMs?: number | null;
  /** The refused envelope's `requestId`. */
  requestId?: string | null;
}

/** The roster, without the receiver's own identity. */
export interface ServerServerUsers {
  type: "server_users";
  /** The chat server. */
  serverId: string;
  /** The others. */
  users: Array<{
    /** The identity. */
    oderId: string;
    /** Its display name. */
    displayName: string;
    /** Its profile text. */
    description?: string | null;
    /** Its presence; the most available of its devices. */
    status: "online" | "away" | "busy" | "offline";
    /** Version of its profile, as it was given. */
    profileUpdatedAt?: Time | null;
    /** Whether it proved to be who it says. */
    verified: boolean;
  }>;
  /** How many there are, when the list is cut. */
  total?: number | null;
  /** Position of the first entry, when the list is paged. */
  offset?: number | null;
}

/** A server's plugins and plugin events; after a join or view, and after each change. */
export interface ServerPluginRequirements {
  type: "plugin_requirements";
  /** The chat server. */
  serverId: string;
  /** Grows with every change of the server. */
  revision: number;
  /** Required, optional and blocked plugins. */
  requirements: Array<{
    /** The plugin. */
    pluginId: string;
    /** Its standing. */
    status: "required" | "optional" | "recommended" | "blocked" | "incompatible";
    /** Where to install it from, or null. */
    installUrl: unknown;
    /** Where its source is, or null. */
    sourceUrl: unknown;
    /** Its manifest as stored, or null. */
    manifest: unknown;
    /** Which versions will do, or null. */
    versionRange: unknown;
  }>;
  /** Registered plugin events. */
  eventDefinitions: Array<{
    /** The plugin. */
    pluginId: string;
    /** The event. */
    eventName: string;
    /** Who may send it. */
    direction: "clientToServer" | "serverRelay" | "p2pHint";
    /** Whom it reaches. */
    scope: "server" | "channel" | "user" | "plugin";
    /** JSON Schema of the payload, or null. */
    schema: unknown;
    /** Largest payload in bytes of compact JSON. */
    maxPayloadBytes: number;
  }>;
  /** The same once more, for clients that expect it there. */
  snapshot: {
    /** The chat server. */
    serverId: string;
    /** Grows with every change of the server. */
    revision: number;
    /** Required, optional and blocked plugins. */
    requirements: Array<{
      /** The plugin. */
      pluginId: string;
      /** Its standing. */
      status: "required" | "optional" | "recommended" | "blocked" | "incompatible";
      /** Where to install it from, or null. */
      installUrl: unknown;
      /** Where its source is, or null. */
      sourceUrl: unknown;
      /** Its manifest as stored, or null. */
      manifest: unknown;
      /** Which versions will do, or null. */
      versionRange: unknown;
    }>;
    /** Registered plugin events. */
    eventDefinitions: Array<{
      /** The plugin. */
      pluginId: string;
      /** The event. */
      eventName: string;
      /** Who may send it. */
      direction: "clientToServer" | "serverRelay" | "p2pHint";
      /** Whom it reaches. */
      scope: "server" | "channel" | "user" | "plugin";
      /** JSON Schema of the payload, or null. */
      schema: unknown;
      /** Largest payload in bytes of compact JSON. */
      maxPayloadBytes: number;
    }>;
  };
}

/** An identity became present; once per identity, whatever its devices. */
export interface ServerUserJoined {
  type: "user_joined";
  /** The chat server. */
  serverId: string;
  /** The identity. */
  oderId: string;
  /** Its display name. */
  displayName: string;
  /** Its profile text. */
  description?: string | null;
  /** Its presence. */
  status: "online" | "away" | "busy" | "offline";
  /** Version of its profile. */
  profileUpdatedAt?: Time | null;
  /** Whether it proved to be who it says. */
  verified: boolean;
}

/** An identity is gone: its last connection left or closed. */
export interface ServerUserLeft {
  type: "user_left";
  /** The chat server. */
  serverId: string;
  /** The identity. */
  oderId: string;
  /** Its display name. */
  displayName: string;
}

/** A message to a server. Not stored. */
export interface ServerChatMessage {
  type: "chat_message";
  /** The chat server; when missing, the sole joined (else viewed) one. */
  serverId: string;
  /** The message. */
  message: string | { [member: string]: unknown };
  /** The sender's identity, or that of a known plugin. */
  senderId: string;
  /** The sender's display name. */
  senderName: string;
  /** The sender's clock. */
  timestamp?: Time | null;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Somebody types, or stops. */
export interface ServerTyping {
  type: "typing";
  /** The chat server; when missing, the sole joined (else viewed) one. */
  serverId: string;
  /** Begin or end. */
  isTyping: boolean;
  /** The channel. */
  channelId?: string | null;
  /** Who types. */
  oderId: string;
  /** The display name. */
  displayName: string;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Voice presence of one connection, passed on and not stored. */
export interface ServerVoiceState {
  type: "voice_state";
  /** The chat server; when missing, the sole joined (else viewed) one. */
  serverId: string;
  /** Muted, deafened, room; flat members do as well (D1). */
  voiceState?: unknown;
  /** Whose it is. */
  oderId: string;
  /** The display name. */
  displayName: string;
  /** Which device. */
  connectionId: string;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** WebRTC session offer. */
export interface ServerOffer {
  type: "offer";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** WebRTC session answer. */
export interface ServerAnswer {
  type: "answer";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** WebRTC candidate. */
export interface ServerIceCandidate {
  type: "ice_candidate";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** A call between two people. */
export interface ServerDirectCall {
  type: "direct-call";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** A message to one person. */
export interface ServerDirectMessage {
  type: "direct-message";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Delivery and reading of a direct message. */
export interface ServerDirectMessageStatus {
  type: "direct-message-status";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Edit or deletion of a direct message. */
export interface ServerDirectMessageMutation {
  type: "direct-message-mutation";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** A conversation's history from a peer. */
export interface ServerDirectMessageSync {
  type: "direct-message-sync";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Asks a peer for a conversation's history. */
export interface ServerDirectMessageSyncRequest {
  type: "direct-message-sync-request";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Who has a newer icon. */
export interface ServerServerIconSyncPeers {
  type: "server_icon_sync_peers";
  /** The chat server. */
  serverId: string;
  /** Newest first. */
  peers: Array<{
    /** The identity. */
    oderId: string;
    /** The version it has. */
    iconUpdatedAt: number;
  }>;
}

/** Asks a peer for the icon. */
export interface ServerServerIconPeerRequest {
  type: "server_icon_peer_request";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** The icon. */
export interface ServerServerIconPeerData {
  type: "server_icon_peer_data";
  /** The identity it is for. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** A registered event of a plugin, validated and then relayed. */
export interface ServerPluginEvent {
  type: "plugin_event";
  /** The chat server. */
  serverId: string;
  /** The plugin. */
  pluginId: string;
  /** The event. */
  eventName: string;
  /** What the event's schema allows. */
  payload?: unknown;
  /** Required by scope `channel`. */
  channelId?: string | null;
  /** The receiver, for scope `user`. */
  targetUserId?: string | null;
  /** The plugin's own identity, when the plugin is known here. */
  sourcePluginUserId?: string | null;
  /** The sender's identity. */
  sourceUserId: string;
  /** The server's clock. */
  emittedAt: number;
  /** Chosen by the client; comes back in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** A plugin event was refused; the connection stays open. */
export interface ServerPluginError {
  type: "plugin_error";
  /** A code for programs. */
  code: string;
  /** A sentence for people, naming the member and the limit. */
  message: string;
  /** As in the refused event. */
  serverId?: string | null;
  /** As in the refused event. */
  pluginId?: string | null;
  /** As in the refused event. */
  eventName?: string | null;
  /** What the schema says against the payload. */
  violations?: Array<{
    /** JSON pointer into the payload. */
    pointer: string;
    /** The schema keyword that failed. */
    keyword: string;
    /** A sentence for people. */
    message: string;
  }> | null;
  /** When trying again makes sense. */
  retryAfterMs?: number | null;
  /** The refused envelope's `requestId`. */
  requestId?: string | null;
}

/** An envelope was refused; the connection stays open. */
export interface ServerError {
  type: "error";
  /** A code for programs. */
  code: string;
  /** A sentence for people, naming the member and the limit. */
  message: string;
  /** `type` of the refused envelope. */
  ref?: string | null;
  /** When trying again makes sense. */
  retryAfterMs?: number | null;
  /** The refused envelope's `requestId`. */
  requestId?: string | null;
}

/** Whatever a client may receive. */
export type ServerEnvelope =
  | ServerConnected
  | ServerKeepalive
  | ServerStatusUpdate
  | ServerAccessDenied
  | ServerServerUsers
  | ServerPluginRequirements
  | ServerUserJoined
  | ServerUserLeft
  | ServerChatMessage
  | ServerTyping
  | ServerVoiceState
  | ServerOffer
  | ServerAnswer
  | ServerIceCandidate
  | ServerDirectCall
  | ServerDirectMessage
  | ServerDirectMessageStatus
  | ServerDirectMessageMutation
  | ServerDirectMessageSync
  | ServerDirectMessageSyncRequest
  | ServerServerIconSyncPeers
  | ServerServerIconPeerRequest
  | ServerServerIconPeerData
  | ServerPluginEvent
  | ServerPluginError
  | ServerError;
