// The video platform's back end, reduced to what it asks of its database.
// Usage: node node_workload.js HOST PORT PHASE   (write or read)
// Prints one JSON document of results; any error ends it with status 1.
'use strict';
const { Pool } = require('pg');
const crypto = require('crypto');

const pool = new Pool({
	host: process.argv[2], port: Number(process.argv[3]), user: 'app',
	database: 'app', max: 12, connectionTimeoutMillis: 20000,
});
const sha = (text) => crypto.createHash('sha256').update(text).digest('hex');

async function transaction(work) {
	const client = await pool.connect();
	try {
		await client.query('BEGIN');
		const result = await work(client);
		await client.query('COMMIT');
		return result;
	} catch (error) {
		await client.query('ROLLBACK');
		throw error;
	} finally {
		client.release();
	}
}

// Register, log in and use the token at once, as a browser does: on one
// connection of the pool, so that it must read its own writes.
async function registerThenLogin(number) {
	const mail = `user${number}@example.org`;
	const token = sha('token' + number);
	const client = await pool.connect();
	try {
		await client.query(
			'INSERT INTO vid_users (mail, secret) VALUES ($1, $2)',
			[mail, sha('secret' + number)]);
		const found = await client.query(
			'SELECT id FROM vid_users WHERE mail = $1 AND secret = $2',
			[mail, sha('secret' + number)]);
		if (found.rows.length !== 1)
			throw new Error(`${mail} cannot log in after registering`);
		await client.query('INSERT INTO vid_sessions VALUES ($1, $2)',
			[token, found.rows[0].id]);
		const session = await client.query(
			'SELECT u.mail FROM vid_sessions s JOIN vid_users u' +
			' ON u.id = s.user_id WHERE s.token = $1', [token]);
		if (session.rows.length !== 1 || session.rows[0].mail !== mail)
			throw new Error(`token of ${mail} is not readable`);
		return session.rows[0].mail;
	} finally {
		client.release();
	}
}

async function upload(number) {
	return transaction(async (client) => {
		const video = await client.query(
			'INSERT INTO vid_videos (owner, title, meta) SELECT id, $2, $3' +
			' FROM vid_users WHERE mail = $1 RETURNING id',
			[`user${number % 20}@example.org`, `video ${number}`,
				{ length: number, tags: ['a', `t${number % 5}`] }]);
		if (number % 10 === 9)
			throw new Error('upload given up');
		await client.query(
			'INSERT INTO vid_views (video, day, views) VALUES ($1, $2, $3)',
			[video.rows[0].id, '2024-03-01', number]);
		return 'stored';
	}).catch((error) => error.message);
}

async function write() {
	await pool.query('DROP TABLE IF EXISTS vid_views, vid_videos,' +
		' vid_sessions, vid_users');
	await pool.query('CREATE TABLE vid_users (id serial PRIMARY KEY,' +
		' mail text UNIQUE NOT NULL, secret text NOT NULL)');
	await pool.query('CREATE TABLE vid_sessions (token text PRIMARY KEY,' +
		' user_id int NOT NULL REFERENCES vid_users)');
	await pool.query('CREATE TABLE vid_videos (id serial PRIMARY KEY,' +
		' owner int NOT NULL, title text NOT NULL, meta jsonb)');
	await pool.query('CREATE TABLE vid_views (video int NOT NULL,' +
		' day date NOT NULL, views int NOT NULL)');
	const mails = await Promise.all(
		Array.from({ length: 60 }, (_, n) => registerThenLogin(n)));
	const uploads = await Promise.all(
		Array.from({ length: 60 }, (_, n) => upload(n)));
	const twice = await registerThenLogin(1).catch((e) => e.code);
	return { mails, uploads, twice };
}

async function read() {
	const byTag = [];
	for (let round = 0; round < 3; round++)
		for (let tag = 0; tag < 5; tag++) {
			// A named statement: prepared once, executed often.
			const found = await pool.query({
				name: 'videos-by-tag',
				text: 'SELECT title FROM vid_videos WHERE meta->\'tags\' ?' +
					' $1 ORDER BY title',
				values: [`t${tag}`],
			});
			byTag.push(found.rows.map((row) => row.title));
		}
	const analytics = await Promise.all(
		Array.from({ length: 30 }, (_, n) => pool.query(
			'SELECT u.mail, count(*) AS videos, sum(w.views) AS views FROM' +
			' vid_users u JOIN vid_videos v ON v.owner = u.id JOIN' +
			' vid_views w ON w.video = v.id WHERE w.views >= $1' +
			' GROUP BY u.mail ORDER BY u.mail', [n]).then((r) => r.rows)));
	const bad = await pool.query('SELECT * FROM vid_missing WHERE a = $1',
		[1]).catch((error) => error.code);
	const parts = await pool.query('SELECT 1 AS a; SELECT 2 AS b');
	return { byTag, analytics, bad, parts: parts.map((p) => p.rows) };
}

(process.argv[4] === 'write' ? write() : read()).then(async (result) => {
	await pool.end();
	console.log(JSON.stringify(result));
}).catch((error) => {
	console.error(error);
	process.exit(1);
});
