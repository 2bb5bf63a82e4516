// What the npm package ssh2 does in each case; see cell.rs for the world it finds in its environment.

'use strict';

const { createHash } = require('crypto');
const fs = require('fs');
const net = require('net');
const { promisify } = require('util');
const { Client } = require(`${process.env.CLIENTS}/node_modules/ssh2`);

const at = process.env;
const sleep = promisify(setTimeout);

function connected(options) {
  return new Promise((resolve, reject) => {
    const client = new Client();
    client.on('ready', () => resolve(client));
    client.on('error', reject);
    client.connect({
      host: at.HOST,
      port: Number(at.PORT),
      username: at.WHO,
      privateKey: fs.readFileSync(at.KEY),
      hostVerifier: (key) =>
        'SHA256:' + createHash('sha256').update(key).digest('base64').replace(/=+$/, '') === at.HOSTKEY,
      algorithms: { serverHostKey: ['ssh-ed25519'] },
      ...options,
    });
  });
}

function answer(stream, given) {
  return new Promise((resolve) => {
    const got = { out: [], err: [] };
    stream.on('data', (piece) => got.out.push(piece));
    stream.stderr.on('data', (piece) => got.err.push(piece));
    stream.on('exit', (status, signal) => Object.assign(got, { status, signal }));
    stream.on('close', () => resolve({ ...got, out: Buffer.concat(got.out), err: Buffer.concat(got.err) }));
    if (given !== undefined) stream.end(given);
  });
}

// Listened to from the first moment: what comes in one packet with the answer is told at once.
function run(client, command, options = {}, given = '') {
  return new Promise((resolve, reject) => {
    client.exec(command, options, (error, stream) => (error ? reject(error) : resolve(answer(stream, given))));
  });
}

function show({ out, err, status, signal }) {
  process.stdout.write(out);
  process.stderr.write(err);
  console.log('status', status, 'signal', signal);
}

function whole(sent, back) {
  console.log(sent.equals(back) ? 'whole' : `${back.length} of ${sent.length} bytes`);
}

// Everything that a stream says, after we have said hello.
function talk(stream) {
  return new Promise((resolve) => {
    stream.on('data', (piece) => process.stdout.write(piece));
    stream.on('end', () => stream.end());
    stream.on('close', resolve);
    stream.write('hello\n');
  });
}

async function sftp(client) {
  const sftp = await promisify(client.sftp.bind(client))();
  // Not `then`, or it would be awaited itself.
  return new Proxy(sftp, { get: (it, name) => (name === 'then' ? undefined : promisify(it[name].bind(it))) });
}

async function bulk(client) {
  const big = fs.readFileSync(at.BIG);
  whole(big, (await run(client, at.REMOTE, {}, big)).out);
}

const cases = {
  exec: async (client) => show(await run(client, at.REMOTE)),
  signal: async (client) => show(await run(client, at.REMOTE)),
  keepalive: async (client) => show(await run(client, at.REMOTE)),
  input: async (client) => show(await run(client, at.REMOTE, {}, 'one\ntwo\n')),
  environment: async (client) => show(await run(client, at.REMOTE, { env: { LC_MATRIX: 'passes' } })),
  agent: async (client) => show(await run(client, at.REMOTE, { agentForward: true })),
  bulk,

  display: async (client) => {
    client.on('x11', (_from, accept) => {
      const drawn = accept();
      drawn.once('data', () => drawn.end('greeting\n'));
    });
    show(await run(client, at.REMOTE, { x11: true }));
  },

  terminal: async (client) => {
    const exec = promisify(client.exec.bind(client));
    const stream = await exec(at.REMOTE, { pty: { rows: 33, cols: 99, term: 'xterm' } });
    const ended = answer(stream);
    while (!fs.existsSync(`${at.FAR}/ready`)) await sleep(20);
    stream.setWindow(44, 111, 0, 0);
    show(await ended);
  },

  sessions: async (client) => {
    let done = 0;
    for (let first = 0; first < 30; first += 6) {
      const numbers = [0, 1, 2, 3, 4, 5].map((number) => first + number);
      const all = await Promise.all(numbers.map((number) => run(client, `${at.REMOTE} ${number}`)));
      done += all.filter(({ out }, index) => out.toString() === `${first + index}\n`).length;
    }
    console.log(`${done} of 30`);
  },

  files: async (client) => {
    const far = await sftp(client);
    fs.writeFileSync('one', 'one\n');
    await far.fastPut('one', `${at.FAR}/one`);
    await far.ext_openssh_rename(`${at.FAR}/one`, `${at.FAR}/renamed`);
    await far.mkdir(`${at.FAR}/folder`);
    await far.writeFile(`${at.FAR}/folder/two`, 'two\n');
    await far.rename(`${at.FAR}/folder/two`, `${at.FAR}/folder/three`);
    await far.ext_openssh_hardlink(`${at.FAR}/renamed`, `${at.FAR}/hard`);
    console.log(await far.realpath(`${at.FAR}/folder/..`));
    await far.chmod(`${at.FAR}/renamed`, 0o600);
    await far.fastGet(`${at.FAR}/renamed`, 'back');
    console.log((await far.readdir(at.FAR)).map(({ filename }) => filename).sort().join(' '));
    for (const wrong of ['stat', 'unlink', 'readdir']) {
      await far[wrong](`${at.FAR}/nothing`).catch((error) => console.log(error.message));
    }
  },

  link: async (client) => {
    const far = await sftp(client);
    await far.symlink(`${at.FAR}/renamed`, `${at.FAR}/link`);
    console.log(await far.readlink(`${at.FAR}/link`));
  },

  directory: async (client) => {
    fs.cpSync(at.MANY, `${at.FAR}/many`, { recursive: true });
    const names = await (await sftp(client)).readdir(`${at.FAR}/many`);
    console.log(names.length);
  },

  oddname: async (client) => {
    const far = await sftp(client);
    await far.fastPut(at.BIG, `${at.FAR}/${at.ODD}`);
    await far.fastGet(`${at.FAR}/${at.ODD}`, 'back');
    whole(fs.readFileSync(at.BIG), fs.readFileSync('back'));
  },

  local: async (client) => {
    const forward = promisify(client.forwardOut.bind(client));
    await talk(await forward('127.0.0.1', 1, 'localhost', Number(at.SERVICE)));
    await forward('127.0.0.1', 1, 'localhost', 1).catch(() => console.log('refused'));
  },

  localsocket: async (client) => {
    const forward = promisify(client.openssh_forwardOutStreamLocal.bind(client));
    await talk(await forward(at.SOCKET));
    await forward(`${at.FAR}/nothing`).catch(() => console.log('refused'));
  },

  reversesocket: async (client) => {
    const socket = `${at.FAR}/home/socket`;
    client.on('unix connection', (_from, accept) => {
      const stream = accept();
      stream.once('data', () => stream.end('a page\n'));
    });
    await promisify(client.openssh_forwardInStreamLocal.bind(client))(socket);
    await talk(net.connect(socket));
    await promisify(client.openssh_unforwardInStreamLocal.bind(client))(socket);
  },

  reverse: async (client) => {
    client.on('tcp connection', (_from, accept) => {
      const stream = accept();
      stream.write('welcome\n');
      stream.once('data', (piece) => stream.end(piece));
    });
    await promisify(client.forwardIn.bind(client))('localhost', Number(at.PORT_A));
    await talk(net.connect(Number(at.PORT_A), '127.0.0.1'));
    await promisify(client.unforwardIn.bind(client))('localhost', Number(at.PORT_A));
  },
};

async function main() {
  // It knows sockets from servers called OpenSSH alone, or from all.
  const sockets = { strictVendor: false };
  const options = { localsocket: sockets, reversesocket: sockets, keepalive: { keepaliveInterval: 1000, keepaliveCountMax: 3 }, agent: { agent: at.AGENT } };
  const client = await connected(options[at.CASE]);
  await cases[at.CASE](client);
  client.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
