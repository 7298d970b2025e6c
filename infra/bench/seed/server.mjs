// The reference "seed": the design that the first server of these communities has, written the way it is usually written. A map in memory,
// JSON.parse, a switch, one JSON.stringify for all receivers, a walk over the whole map for each broadcast (an identity once), and the
// whole roster on each join. Nothing is tuned, nothing is made worse: npm `ws` with its defaults.
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';
import { WebSocketServer } from 'ws';

const PING_INTERVAL_MS = 30_000;
const PONG_TIMEOUT_MS = 45_000;

/** connectionId -> { connectionId, ws, oderId, displayName, status, serverIds, viewedServerId, lastPong } */
const connectedUsers = new Map();

function broadcastToServer(serverId, message, excludeConnectionId) {
  const text = JSON.stringify(message);
  for (const user of connectedUsers.values()) {
    if (user.connectionId !== excludeConnectionId && user.serverIds.has(serverId) && user.ws.readyState === 1) {
      user.ws.send(text);
    }
  }
}

function roster(serverId, exceptOderId) {
  const seen = new Set([exceptOderId]);
  const users = [];
  for (const user of connectedUsers.values()) {
    if (user.serverIds.has(serverId) && !seen.has(user.oderId)) {
      seen.add(user.oderId);
      users.push({ oderId: user.oderId, displayName: user.displayName, status: user.status });
    }
  }
  return users;
}

function isPresent(oderId, serverId, exceptConnectionId) {
  for (const user of connectedUsers.values()) {
    if (user.oderId === oderId && user.connectionId !== exceptConnectionId && user.serverIds.has(serverId)) return true;
  }
  return false;
}

function sendServerState(user, serverId) {
  user.ws.send(JSON.stringify({ type: 'server_users', serverId, users: roster(serverId, user.oderId) }));
  user.ws.send(JSON.stringify({ type: 'plugin_requirements', serverId, requirements: [], eventDefinitions: [] }));
}

function handle(user, message) {
  switch (message.type) {
    case 'identify':
      user.oderId = message.oderId || user.connectionId;
      user.displayName = message.displayName || 'User';
      user.connectionScope = message.connectionScope;
      break;
    case 'join_server': {
      const already = isPresent(user.oderId, message.serverId, user.connectionId);
      user.serverIds.add(message.serverId);
      user.viewedServerId = message.serverId;
      sendServerState(user, message.serverId);
      if (!already) {
        const { oderId, displayName, status } = user;
        broadcastToServer(message.serverId, { type: 'user_joined', serverId: message.serverId, oderId, displayName, status }, user.connectionId);
      }
      break;
    }
    case 'view_server':
      user.viewedServerId = message.serverId;
      sendServerState(user, message.serverId);
      break;
    case 'leave_server':
      leave(user, message.serverId);
      break;
    case 'chat_message':
    case 'voice_state':
    case 'typing':
      if (user.serverIds.has(message.serverId)) {
        broadcastToServer(message.serverId, { ...message, senderId: user.oderId, senderName: user.displayName }, user.connectionId);
      }
      break;
    case 'status_update':
      user.status = message.status;
      for (const serverId of user.serverIds) {
        broadcastToServer(serverId, { type: 'status_update', serverId, oderId: user.oderId, status: user.status }, user.connectionId);
      }
      break;
    case 'keepalive':
      user.ws.send(JSON.stringify({ type: 'keepalive' }));
      break;
    default:
      break;
  }
}

function leave(user, serverId) {
  user.serverIds.delete(serverId);
  if (!isPresent(user.oderId, serverId, user.connectionId)) {
    broadcastToServer(serverId, { type: 'user_left', serverId, oderId: user.oderId, displayName: user.displayName }, user.connectionId);
  }
}

const server = createServer();
const sockets = new WebSocketServer({ server });

sockets.on('connection', (ws) => {
  const connectionId = randomUUID();
  const user = { connectionId, ws, oderId: connectionId, displayName: 'User', status: 'online', serverIds: new Set(), lastPong: Date.now() };
  connectedUsers.set(connectionId, user);
  ws.on('message', (data) => {
    user.lastPong = Date.now();
    try {
      handle(user, JSON.parse(data.toString()));
    } catch (error) {
      console.error('message not understood', error);
    }
  });
  ws.on('pong', () => {
    user.lastPong = Date.now();
  });
  ws.on('error', () => ws.terminate());
  ws.on('close', () => {
    connectedUsers.delete(connectionId);
    for (const serverId of user.serverIds) leave(user, serverId);
  });
  ws.send(JSON.stringify({ type: 'connected', connectionId, serverTime: Date.now() }));
});

setInterval(() => {
  const now = Date.now();
  for (const user of connectedUsers.values()) {
    if (now - user.lastPong > PONG_TIMEOUT_MS) user.ws.terminate();
    else user.ws.ping();
  }
}, PING_INTERVAL_MS);

server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => console.log(`ready http://127.0.0.1:${server.address().port}`));
