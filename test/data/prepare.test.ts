import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataSet, openExposure } from '../../src/data/index.js';
import { createWriter } from '../../src/data/prepare/unpack.js';
import {
  cifar10Archive,
  cifar100Archive,
  emnistZip,
  fashionMnistFiles,
  mvtecMembers,
  type TarMember,
  tar,
  tarGz,
  tarXz,
  vocMembers,
  zip,
} from './fake-archives.js';
import { expectSameBytes, failure, filesBelow, placesBelow, temporaryFolder, write } from './fixtures.js';

const place = placesBelow(temporaryFolder());

describe('unpacked data sets', () => {
  it('mvtec from its tar.xz', async ({ skip }) => {
    const { data, prepare, archive } = place();
    const xz = tarXz(await mvtecMembers());
    if (!xz) return skip('there is no xz command to make the archive with');
    const made = await prepare('mvtec', archive('mvtec_anomaly_detection.tar.xz', xz));
    expect(made).toMatchObject({
      complete: true,
      counts: { categories: 2, train: 8, test: 8, masks: 4 },
      missing: [],
    });
    expect(made.archives[0]!.md5).toMatch(/^[0-9a-f]{32}$/);
    expect(made.warnings.join()).toMatch(/not the whole published MVTec AD: categories 2 of 15/);
    const set = await openDataSet('mvtec', { dir: data, className: 'bottle', seed: 0 });
    expect(set.train.records).toHaveLength(4);
    expect(set.test!.masks).toHaveLength(4);
  });

  it('mvtec from a folder of unpacked data, and a single category from a tar.gz', async () => {
    const { data, prepare, archive } = place();
    const members = await mvtecMembers();
    for (const { name, data: content } of members) if (content) archive(`mvtec_ad/${name}`, content);
    expect((await prepare('mvtec', join(data, 'in'))).counts).toMatchObject({ categories: 2, masks: 4 });
    const second = place();
    const bottle = members.filter(({ name }) => name.startsWith('bottle/'));
    const made = await second.prepare('mvtec', second.archive('bottle.tar.gz', tarGz(bottle)));
    expect(made.counts).toEqual({ categories: 1, train: 4, test: 4, masks: 2 });
  });

  it('fashion-mnist from a folder with its four files; another content is named', async () => {
    const { data, prepare, archive } = place();
    for (const [name, content] of Object.entries(fashionMnistFiles(20))) archive(name, content);
    const made = await prepare('fashion-mnist', join(data, 'in'));
    expect(made).toMatchObject({ complete: true, counts: { train: 20, test: 20 } });
    expect(made.archives.map(({ published }) => published)).toEqual([false, false, false, false]);
    expect(made.warnings.join('\n')).toMatch(
      /is not the published train-images.*MD5 is [0-9a-f]{32}, not 8d4fb7/,
    );
    expect((await openDataSet('fashion-mnist', { dir: data, seed: 0 })).train.records).toHaveLength(2);
  });

  it('cifar10, cifar100, emnist letters and voc', async () => {
    const { data, prepare, archive } = place();
    expect((await prepare('cifar10', archive('cifar-10-binary.tar.gz', cifar10Archive()))).counts).toEqual({
      train: 20,
      test: 20,
    });
    const cifar100 = await prepare('cifar100', archive('cifar-100-binary.tar.gz', cifar100Archive()));
    expect(cifar100).toMatchObject({ complete: true, counts: { train: 20, test: 20 } });
    const emnist = await prepare('emnist', archive('gzip.zip', emnistZip()));
    expect(emnist).toMatchObject({ complete: true, counts: { train: 52, test: 52 } });
    expect(readdirSync(join(data, 'emnist')).some((name) => name.includes('digits'))).toBe(false);
    const voc = await prepare('voc', archive('VOCtrainval_06-Nov-2007.tar', tar(await vocMembers())));
    expect(voc).toMatchObject({ complete: true, counts: { train: 9, val: 9 } });
    expect(existsSync(join(data, 'pascal-voc/VOC2007/SegmentationClass'))).toBe(false);
    const letters = await openDataSet('emnist', { dir: data, className: 'C', seed: 0 });
    expect(letters.train.records.map(({ type }) => type)).toEqual(['C', 'C']);
    const exposure = { root: data, height: 28, width: 28, channels: 1 as const, seed: 0 };
    const upright = await openExposure('emnist', exposure);
    expect(upright.images).toHaveLength(52);
    // The data set and the exposure show the same upright letter.
    expectSameBytes(letters.train.images.bytes.subarray(0, 784), upright.bytes.subarray(2 * 784, 3 * 784));
    expect((await openExposure('cifar100', exposure)).images).toHaveLength(20);
  });

  it('says what is missing, where it is published and under which licence', async () => {
    const { prepare, archive, data } = place();
    const files = fashionMnistFiles(20);
    archive('train-images-idx3-ubyte.gz', files['train-images-idx3-ubyte.gz']!);
    archive('train-labels-idx1-ubyte.gz', files['train-labels-idx1-ubyte.gz']!);
    const made = await prepare('fashion-mnist', join(data, 'in'));
    expect(made.complete).toBe(false);
    expect(made.missing.join()).toMatch(/the test part.*zalandoresearch.*t10k-images.*Licence: MIT/);
    const members = (await vocMembers()).filter(({ name }) => !/JPEGImages\/000002/.test(name));
    const voc = await prepare('voc', archive('VOCtrainval_06-Nov-2007.tar', tar(members)));
    expect(voc.missing.join()).toMatch(/1 of 9 pictures of train \(JPEGImages\/000002\.jpg first\)/);
    await failure(prepare('mvtec', []), 'FCDD_INVALID_ARGUMENT', /mvtec\.com.*CC BY-NC-SA/);
    await failure(prepare('mvtec', join(data, 'nowhere')), 'FCDD_NOT_FOUND', /nowhere does not exist/);
    await failure(prepare('cats', 'x'), 'FCDD_INVALID_ARGUMENT', /expected one of mvtec/);
    const other = archive('other.tar.gz', tarGz([{ name: 'a/b.txt', data: Buffer.from('x') }]));
    await failure(prepare('cifar10', other), 'FCDD_BAD_DATA', /nothing of CIFAR-10.*/, /kriz\/cifar/);
  });

  it('refuses what leaves the folder, whatever the archive', async () => {
    const good = { name: 'bottle/train/good/000.png', data: Buffer.from('x') };
    const attacks: [TarMember, RegExp][] = [
      [{ name: '../../evil/train/good/0.png' }, /leaves the folder/],
      [{ name: 'bottle/train/../../../good/0.png' }, /leaves the folder/],
      [{ name: '/etc/train/good/0.png' }, /absolute path/],
      [{ name: 'bottle/train/good\\..\\0.png' }, /character that no path needs/],
      [{ name: 'bottle/train', type: 'SymbolicLink', linkpath: '/tmp' }, /is a link/],
      [{ name: 'bottle/train/good/1.png', type: 'Link', linkpath: '../../x' }, /is a link/],
    ];
    for (const [attack, message] of attacks) {
      const { data, prepare, archive } = place();
      const path = archive('bad.tar', tar([good, attack, good]));
      await failure(prepare('mvtec', path), 'FCDD_BAD_DATA', message, /not safe to unpack/);
      expect(existsSync(join(data, 'mvtec/prepared.json'))).toBe(false);
      expect(readdirSync(data).sort()).toEqual(['in', 'mvtec']);
    }
    for (const name of ['../train/good/0.png', '/train/good/0.png']) {
      const { prepare, archive } = place();
      const path = archive('bad.zip', zip([{ name, data: Buffer.from('x') }]));
      await failure(prepare('mvtec', path), 'FCDD_BAD_DATA');
    }
    const { prepare, archive } = place();
    const link = zip([{ name: 'bottle/train/good/0.png', data: Buffer.from('/etc/passwd'), link: true }]);
    await failure(prepare('mvtec', archive('bad.zip', link)), 'FCDD_BAD_DATA', /is a link/);
  });

  it('does not unpack through a link that lies in the folder already', async () => {
    const { data, prepare, archive } = place();
    const path = archive('mvtec.tar', tar(await mvtecMembers()));
    mkdirSync(join(data, 'mvtec'));
    mkdirSync(join(data, 'elsewhere'));
    symlinkSync(join(data, 'elsewhere'), join(data, 'mvtec/bottle'));
    await failure(prepare('mvtec', path), 'FCDD_BAD_DATA', /is no folder \(a link\?\)/);
    expect(readdirSync(join(data, 'elsewhere'))).toEqual([]);
  });

  it('goes on after an archive that was cut off, and keeps what was whole', async () => {
    for (const pack of [tar, tarGz, tarXz]) {
      const { data, prepare, archive, notes } = place();
      const whole = pack(await mvtecMembers());
      if (!whole) continue; // no xz command here
      const cut = archive('mvtec.tar', whole.subarray(0, Math.floor(whole.length * 0.6)));
      await failure(prepare('mvtec', cut), 'FCDD_BAD_DATA', /cut off or corrupt/, /the same command goes on/);
      expect(existsSync(join(data, 'mvtec/prepared.json'))).toBe(false);
      const first = join(data, 'mvtec/bottle/train/good/000.png');
      const before = statSync(first);
      expect(filesBelow(join(data, 'mvtec')).some((name) => name.endsWith('.part'))).toBe(false);
      archive('mvtec.tar', whole);
      expect(await prepare('mvtec', cut)).toMatchObject({ complete: true, counts: { masks: 4 } });
      expect(notes.join()).toMatch(/files unpacked, \d+ were there already/);
      expect(statSync(first).mtimeMs).toBe(before.mtimeMs);
      await prepare('mvtec', cut);
      expect(notes.at(-1)).toMatch(/was unpacked before/);
    }
  });

  it('overwrites nothing that has another size', async () => {
    const { data, prepare, archive } = place();
    const own = write(join(data, 'mvtec/bottle/train/good/000.png'), 'my own picture');
    const path = archive('mvtec.tar', tar(await mvtecMembers()));
    await failure(prepare('mvtec', path), 'FCDD_BAD_DATA', /another size/, /move it away/);
    expect(readFileSync(own, 'utf8')).toBe('my own picture');
  });

  it('says that the disk is full, and leaves no half of a file', async () => {
    const { data } = place();
    const writer = createWriter(data);
    const full = async function* () {
      yield Buffer.alloc(10);
      throw Object.assign(new Error('no space'), { code: 'ENOSPC', syscall: 'write' });
    };
    await failure(writer.write('a/b.png', 20, full), 'FCDD_DISK', /the disk is full/);
    expect(readdirSync(join(data, 'a'))).toEqual([]);
    const { prepare, data: blocked, archive } = place();
    const path = archive('cifar-100-binary.tar.gz', cifar100Archive());
    write(join(blocked, 'cifar100'), 'a file where the folder should be');
    await failure(prepare('cifar100', path), 'FCDD_DISK', /run the same command again/);
  });

  it('is stopped by a signal', async () => {
    const { data, prepare, archive } = place();
    const path = archive('mvtec.tar', tar(await mvtecMembers()));
    const controller = new AbortController();
    const stopped = prepare('mvtec', path, {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await failure(stopped, 'FCDD_ABORTED', /goes on from here/);
    expect(await prepare('mvtec', path)).toMatchObject({ complete: true });
    expect(existsSync(join(data, 'mvtec/prepared.json'))).toBe(true);
  });
});

describe('downloads', () => {
  const content = cifar10Archive(2000);
  let server: Server;
  let url: string;
  let requests: (string | undefined)[] = [];
  let cutAfter = Number.POSITIVE_INFINITY;

  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url === '/gone.tar.gz') return response.writeHead(404).end();
      const range = /bytes=(\d+)-/.exec(request.headers.range ?? '');
      requests.push(request.headers.range);
      const from = range && request.headers['if-range'] === '"one"' ? Number(range[1]) : 0;
      response.writeHead(from > 0 ? 206 : 200, { etag: '"one"', 'content-length': content.length - from });
      const body = content.subarray(from);
      if (body.length <= cutAfter) return response.end(body);
      response.write(body.subarray(0, cutAfter), () => setTimeout(() => response.destroy(), 50));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => void server.close());

  it('go on where the connection ended', async () => {
    const { data, prepare } = place();
    requests = [];
    cutAfter = Math.floor((2 * content.length) / 3);
    const from = `${url}/cifar-10-binary.tar.gz`;
    expect(await prepare('cifar10', from)).toMatchObject({ complete: true, counts: { train: 2000 } });
    expect(requests).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)]);
    expectSameBytes(readFileSync(join(data, '.downloads/cifar-10-binary.tar.gz')), content);
    await failure(
      prepare('cifar10', `${url}/gone.tar.gz`),
      'FCDD_NETWORK',
      /answers with status 404/,
      /with a browser/,
    );
  });
});

describe('a killed process', () => {
  it('leaves nothing half done', async () => {
    const { data, prepare, archive } = place();
    const members: TarMember[] = [];
    for (let i = 0; i < 400; i++) {
      members.push({ name: `bottle/train/good/${i}.png`, data: Buffer.alloc(40_000, i) });
    }
    const path = archive('mvtec.tar', tar(members));
    const main = join(import.meta.dirname, '../../dist/cli/main.js');
    const child = spawn(process.execPath, [main, 'data', 'prepare', 'mvtec', '--from', path, '--data', data]);
    const folder = join(data, 'mvtec/bottle/train/good');
    const closed = new Promise((resolve) => child.on('close', resolve));
    while (!existsSync(folder) || readdirSync(folder).length < 20) {
      if (child.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    child.kill('SIGKILL');
    await closed;
    expect(child.signalCode).toBe('SIGKILL');
    expect(existsSync(join(data, 'mvtec/prepared.json'))).toBe(false);
    for (const name of readdirSync(folder).filter((one) => one.endsWith('.png'))) {
      expect(statSync(join(folder, name)).size).toBe(40_000);
    }
    expect((await prepare('mvtec', path)).counts.train).toBe(400);
    expect(readdirSync(folder).filter((name) => !name.endsWith('.png'))).toEqual([]);
  });
});
