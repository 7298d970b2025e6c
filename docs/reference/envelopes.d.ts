// Generated from the envelope table by `cargo xtask gen`; do not edit.
// Envelope contract version 1.1. Dispatch on `type`; unknown types and members may appear at any time.

/** A time as milliseconds since 1970 or as ISO 8601 text, passed on as it was given. */
export type Time = number | string;

/** Introduces the client; required before any other type but `keepalive`. */
export interface ClientIdentify {
  type: "identify";
  /** The identity; the server makes a UUID when it is missing. */
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
  /** Binds `key` to `oderId`, which needs proof from then on. */
  lock?: boolean | null;
  /** Declared plugins. */
  plugins?: Array<{
    /** A plugin that the client runs. */
    id: string;
    /** Its version. */
    version?: string | null;
  }> | null;
  /** Features of `connected.protocol` that the client understands. */
  features?: string[] | null;
  /** Version of the contract that the client uses; 1.0 when missing. */
  protocol?: string | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
}

/** Keeps the connection alive; answered at most once per ping interval. */
export interface ClientKeepalive {
  type: "keepalive";
}

/** Presence of an identity. */
export interface ClientStatusUpdate {
  type: "status_update";
  /** The new presence. */
  status: "online" | "away" | "busy" | "offline";
  /** The identity. */
  oderId?: string | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
}

/** Joins a server; answered by `server_users` and `plugin_requirements`, or by `access_denied`. */
export interface ClientJoinServer {
  type: "join_server";
  /** The chat server. */
  serverId: string;
  /** For a server with a password. */
  password?: string | null;
  /** For a server that requires an invite. */
  inviteToken?: string | null;
  /** First roster entry wanted, for clients that page rosters. */
  rosterOffset?: number | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
}

/** Like `join_server`, without becoming present: roster and plugin requirements, no content. */
export interface ClientViewServer {
  type: "view_server";
  /** The chat server. */
  serverId: string;
  /** For a server with a password. */
  password?: string | null;
  /** For a server that requires an invite. */
  inviteToken?: string | null;
  /** First roster entry wanted, for clients that page rosters. */
  rosterOffset?: number | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
}

/** Leaves a server, or ends viewing it. */
export interface ClientLeaveServer {
  type: "leave_server";
  /** The chat server; when missing, the sole joined (else viewed) one. */
  serverId?: string | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
}

/** A chat message to a server. It is not stored. */
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
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** An identity starts or stops typing. */
export interface ClientTyping {
  type: "typing";
  /** The chat server; when missing, the sole joined (else viewed) one. */
  serverId?: string | null;
  /** Whether it types. */
  isTyping: boolean;
  /** The channel. */
  channelId?: string | null;
  /** The identity that types. */
  oderId?: string | null;
  /** The display name. */
  displayName?: string | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Voice state of one connection; relayed, not stored. */
export interface ClientVoiceState {
  type: "voice_state";
  /** The chat server; when missing, the sole joined (else viewed) one. */
  serverId?: string | null;
  /** Muted, deafened, room; these may also be top-level members. */
  voiceState?: unknown;
  /** The identity. */
  oderId?: string | null;
  /** The display name. */
  displayName?: string | null;
  /** The sender's connection, which tells its devices apart. */
  connectionId?: string | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** WebRTC session offer. */
export interface ClientOffer {
  type: "offer";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** WebRTC session answer. */
export interface ClientAnswer {
  type: "answer";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** WebRTC candidate. */
export interface ClientIceCandidate {
  type: "ice_candidate";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** A call between two identities. */
export interface ClientDirectCall {
  type: "direct-call";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** A message to one identity. */
export interface ClientDirectMessage {
  type: "direct-message";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Delivery or read state of a direct message. */
export interface ClientDirectMessageStatus {
  type: "direct-message-status";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Edit or deletion of a direct message. */
export interface ClientDirectMessageMutation {
  type: "direct-message-mutation";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** A conversation's history from a peer. */
export interface ClientDirectMessageSync {
  type: "direct-message-sync";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Asks a peer for a conversation's history. */
export interface ClientDirectMessageSyncRequest {
  type: "direct-message-sync-request";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
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
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
}

/** Asks for members with a newer icon; answered by `server_icon_sync_peers`. */
export interface ClientServerIconSyncRequest {
  type: "server_icon_sync_request";
  /** The chat server; when missing, the sole joined (else viewed) one. */
  serverId?: string | null;
  /** The sender's version. */
  iconUpdatedAt?: Time | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
}

/** Asks a peer for the icon. */
export interface ClientServerIconPeerRequest {
  type: "server_icon_peer_request";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** The icon. */
export interface ClientServerIconPeerData {
  type: "server_icon_peer_data";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId?: string | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
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
  /** JSON that the event's schema allows. */
  payload?: unknown;
  /** Required by scope `channel`. */
  channelId?: string | null;
  /** The receiver, for scope `user`. */
  targetUserId?: string | null;
  /** The plugin's own identity, if the server knows the plugin. */
  sourcePluginUserId?: string | null;
  /** The sender's identity. */
  sourceUserId?: string | null;
  /** The server's clock. */
  emittedAt?: number | null;
  /** Chosen by the client; repeated in a refusal of this envelope. */
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
  /** The envelope contract of this server. */
  protocol: {
    /** Version of the envelope contract. */
    version: string;
    /** Oldest version that the server accepts. */
    min: string;
    /** Features beyond version 1.0. */
    features: string[];
    /** Sizes, rates and times that concern clients, with units in their names. */
    limits: unknown;
  };
}

/** Keeps the connection alive; answered at most once per ping interval. */
export interface ServerKeepalive {
  type: "keepalive";
}

/** Presence of an identity. */
export interface ServerStatusUpdate {
  type: "status_update";
  /** The new presence. */
  status: "online" | "away" | "busy" | "offline";
  /** The identity. */
  oderId: string;
  /** The server to whose members it is sent. */
  serverId: string;
  /** Chosen by the client; repeated in a refusal of this envelope. */
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
  /** Wait before a retry, in milliseconds. */
  retryAfterMs?: number | null;
  /** The refused envelope's `requestId`. */
  requestId?: string | null;
}

/** The roster of a server, without the receiver's own identity. */
export interface ServerServerUsers {
  type: "server_users";
  /** The chat server. */
  serverId: string;
  /** The other users. */
  users: Array<{
    /** The identity. */
    oderId: string;
    /** Its display name. */
    displayName: string;
    /** Its profile text. */
    description?: string | null;
    /** Its presence; the most available of its devices. */
    status: "online" | "away" | "busy" | "offline";
    /** Version of its profile, as the client sent it. */
    profileUpdatedAt?: Time | null;
    /** Whether the identity is proven. */
    verified: boolean;
  }>;
  /** Number of all other users, when the list is cut or paged. */
  total?: number | null;
  /** Position of the first entry, when the list is paged. */
  offset?: number | null;
}

/** A server's plugins and plugin events; sent after a join or view, and after each change. */
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
    /** How the server treats it. */
    status: "required" | "optional" | "recommended" | "blocked" | "incompatible";
    /** URL to install it from, or null. */
    installUrl: unknown;
    /** URL of its source, or null. */
    sourceUrl: unknown;
    /** Its manifest as stored, or null. */
    manifest: unknown;
    /** Accepted versions, or null. */
    versionRange: unknown;
  }>;
  /** Registered plugin events. */
  eventDefinitions: Array<{
    /** The plugin. */
    pluginId: string;
    /** The event. */
    eventName: string;
    /** Which side may send it. */
    direction: "clientToServer" | "serverRelay" | "p2pHint";
    /** Its receivers. */
    scope: "server" | "channel" | "user" | "plugin";
    /** JSON Schema of the payload, or null. */
    schema: unknown;
    /** Largest payload in bytes of compact JSON. */
    maxPayloadBytes: number;
  }>;
  /** The same data again, for clients of version 1.0. */
  snapshot: {
    /** The chat server. */
    serverId: string;
    /** Grows with every change of the server. */
    revision: number;
    /** Required, optional and blocked plugins. */
    requirements: Array<{
      /** The plugin. */
      pluginId: string;
      /** How the server treats it. */
      status: "required" | "optional" | "recommended" | "blocked" | "incompatible";
      /** URL to install it from, or null. */
      installUrl: unknown;
      /** URL of its source, or null. */
      sourceUrl: unknown;
      /** Its manifest as stored, or null. */
      manifest: unknown;
      /** Accepted versions, or null. */
      versionRange: unknown;
    }>;
    /** Registered plugin events. */
    eventDefinitions: Array<{
      /** The plugin. */
      pluginId: string;
      /** The event. */
      eventName: string;
      /** Which side may send it. */
      direction: "clientToServer" | "serverRelay" | "p2pHint";
      /** Its receivers. */
      scope: "server" | "channel" | "user" | "plugin";
      /** JSON Schema of the payload, or null. */
      schema: unknown;
      /** Largest payload in bytes of compact JSON. */
      maxPayloadBytes: number;
    }>;
  };
}

/** An identity became present; sent once per identity, whatever its number of devices. */
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
  /** Whether the identity is proven. */
  verified: boolean;
}

/** The last connection of an identity left or closed. */
export interface ServerUserLeft {
  type: "user_left";
  /** The chat server. */
  serverId: string;
  /** The identity. */
  oderId: string;
  /** Its display name. */
  displayName: string;
}

/** Users joined or left a server with many users; for clients with the feature `roster-paging`. */
export interface ServerServerUsersChanged {
  type: "server_users_changed";
  /** The chat server. */
  serverId: string;
  /** Number of other users now. */
  total: number;
}

/** A chat message to a server. It is not stored. */
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
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** An identity starts or stops typing. */
export interface ServerTyping {
  type: "typing";
  /** The chat server; when missing, the sole joined (else viewed) one. */
  serverId: string;
  /** Whether it types. */
  isTyping: boolean;
  /** The channel. */
  channelId?: string | null;
  /** The identity that types. */
  oderId: string;
  /** The display name. */
  displayName: string;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Voice state of one connection; relayed, not stored. */
export interface ServerVoiceState {
  type: "voice_state";
  /** The chat server; when missing, the sole joined (else viewed) one. */
  serverId: string;
  /** Muted, deafened, room; these may also be top-level members. */
  voiceState?: unknown;
  /** The identity. */
  oderId: string;
  /** The display name. */
  displayName: string;
  /** The sender's connection, which tells its devices apart. */
  connectionId: string;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** WebRTC session offer. */
export interface ServerOffer {
  type: "offer";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** WebRTC session answer. */
export interface ServerAnswer {
  type: "answer";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** WebRTC candidate. */
export interface ServerIceCandidate {
  type: "ice_candidate";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** A call between two identities. */
export interface ServerDirectCall {
  type: "direct-call";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** A message to one identity. */
export interface ServerDirectMessage {
  type: "direct-message";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Delivery or read state of a direct message. */
export interface ServerDirectMessageStatus {
  type: "direct-message-status";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Edit or deletion of a direct message. */
export interface ServerDirectMessageMutation {
  type: "direct-message-mutation";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** A conversation's history from a peer. */
export interface ServerDirectMessageSync {
  type: "direct-message-sync";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Asks a peer for a conversation's history. */
export interface ServerDirectMessageSyncRequest {
  type: "direct-message-sync-request";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** Members with a newer icon. */
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
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; repeated in a refusal of this envelope. */
  requestId?: string | null;
  /** Further members are passed on untouched. */
  [member: string]: unknown;
}

/** The icon. */
export interface ServerServerIconPeerData {
  type: "server_icon_peer_data";
  /** The receiving identity. */
  targetUserId: string;
  /** The sender's identity. */
  fromUserId: string;
  /** Chosen by the client; repeated in a refusal of this envelope. */
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
  /** JSON that the event's schema allows. */
  payload?: unknown;
  /** Required by scope `channel`. */
  channelId?: string | null;
  /** The receiver, for scope `user`. */
  targetUserId?: string | null;
  /** The plugin's own identity, if the server knows the plugin. */
  sourcePluginUserId?: string | null;
  /** The sender's identity. */
  sourceUserId: string;
  /** The server's clock. */
  emittedAt: number;
  /** Chosen by the client; repeated in a refusal of this envelope. */
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
  /** Where the payload violates the schema. */
  violations?: Array<{
    /** JSON pointer into the payload. */
    pointer: string;
    /** The schema keyword that failed. */
    keyword: string;
    /** A sentence for people. */
    message: string;
  }> | null;
  /** Wait before a retry, in milliseconds. */
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
  /** Wait before a retry, in milliseconds. */
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
  | ServerServerUsersChanged
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
