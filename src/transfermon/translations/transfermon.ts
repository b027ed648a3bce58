<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1">
<context>
    <name></name>
    <message>
        <source> GB</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source> MB/s</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>%n active</source>
        <comment>1 active</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n addresses are in the list already.</source>
        <comment>This address is in the list already.</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n addresses were left out.</source>
        <comment>An address was left out. {why}</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n bytes</source>
        <comment>1 byte</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n connections</source>
        <comment>1 connection</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n connections were dropped.</source>
        <comment>1 connection was dropped.</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n entries of the list cannot be read.</source>
        <comment>1 entry of the list cannot be read.</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n events</source>
        <comment>1 event</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n events were copied.</source>
        <comment>1 event was copied.</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n failed</source>
        <comment>1 failed</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n files</source>
        <comment>1 file</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n files, {size}</source>
        <comment>1 file, {size}</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n of them to {mirror}</source>
        <comment>1 of them to {mirror}</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n queued</source>
        <comment>1 queued</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n tasks started</source>
        <comment>1 task started</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n transfers</source>
        <comment>1 transfer</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n transfers are saved and resume at the next start.</source>
        <comment>1 transfer is saved and resumes at the next start.</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n transfers failed</source>
        <comment>1 transfer failed</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n transfers failed while you were away</source>
        <comment>1 transfer failed while you were away</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n transfers finished while you were away, {size} lost</source>
        <comment>1 transfer finished while you were away, {size} lost</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n transfers go on in the background, without a window.</source>
        <comment>1 transfer goes on in the background, without a window.</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n transfers go on without a window</source>
        <comment>1 transfer goes on without a window</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n transfers were added.</source>
        <comment>1 transfer was added.</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n transfers were removed; files are kept.</source>
        <comment>1 transfer was removed from the list; files are kept.</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n transfers, {size}</source>
        <comment>1 transfer, {size}</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n uploads were added.</source>
        <comment>1 upload was added.</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n videos</source>
        <comment>1 video</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n waiting</source>
        <comment>1 waiting</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>&amp;About Transfermon</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Add transfers…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Background</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Cancel</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Change every ETag</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Dark</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Details</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Drop all connections now</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Edit</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Events</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Filter</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Help</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;High priority</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Light</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Network simulation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Offline</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Open</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Pause</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Pause all</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Quit</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Resume</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Resume all</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Settings…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Show window</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Silent push…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Simulate a suspension, or wake the app</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Speed limit…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Switch off</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;System</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Theme</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Transfer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Upload files…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Verify checksum…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;VideoFarm</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;View</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>(not installed)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>5 min ago</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>64 hexadecimal digits; for a single address</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A PEM file of authorities to trust, too</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A SHA-256 checksum has 64 hexadecimal digits.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A background push has no alert text; with it, a banner is shown too.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A background push has no “{name}”.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A background push has priority 5; the push service refuses 10.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A bad network can be had to order: menu Background, Network simulation. It ends with the app.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A checksum fits one address only.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A download: the answer becomes a file.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A fetch is due now</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A file of cookies; the address&apos;s host gets its own</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A file that gets the keys: who has them can read what is sent</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A name fits one address only.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A picture; of a film the desktop knows it is found by itself</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A priority is 1, 5 or 10; the push service refuses {number}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>A push asks for %n files from there:
{shown}
Nothing was fetched yet.</source>
        <comment>A push asks for a file from there:
{shown}
Nothing was fetched yet.</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>A random one is made when it is switched on</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A session, when its last transfer has ended</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A text file with one address a line, or a JSON file with a push</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Access token</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Active</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add a URL</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add addresses to download</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add again</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add links from the &amp;clipboard</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add paused</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add transfers</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Added</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Address</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Address of the VideoFarm server</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Addresses</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Addresses from another program</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Addresses, one a line</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Advanced</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>After the others that wait for the same host</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>All events</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>All files (*)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>All kinds</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>All sessions</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>All transfers</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Always</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Answer 503 o&amp;nce</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Answer 503 to &amp;all requests</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Answer of the server</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Answer, {size}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Any length</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>App state</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Archive</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>As often as allowed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>As the system</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask later</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask the server (resumable if it can)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>At login</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>At the server</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Attempt {attempt}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Attempts</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Authorities</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Automatic</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Automatic: six to one host, up to sixteen for many small files while it answers quickly, fewer when it says that it is too much. Sessions with limits of their own keep them. A failed attempt keeps its bytes.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Background</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Background &amp;fetch</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Background download started</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Background downloads started</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Background fetch</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Background fetch, by hand</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Background modes</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Background transfers that survive a closed window, a crash and a reboot.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Banner and silent</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Before the others that wait for the same host</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Body</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Body of the request</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Browse</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Browse the videos of a VideoFarm server</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Came</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cancel all</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cancel all transfers of {key}?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cancel the selected transfers</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cancelled</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cancelling</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Changes apply at once.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Changes cannot be stored now: {frozen}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Channel</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Checking</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose: {what}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Clear</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Clear this view; the journal keeps the events</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Close</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Close the &amp;window</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Close the message</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Closing the window</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Commands from a terminal cannot reach this window: its socket cannot be made.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Compare the finished file with a SHA-256, or show its own</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Connect</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Connecting</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Connections</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Connections for one file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Connections per host</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Connections to one host</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Contact sheet</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cookies</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copied as a command for {tool}. Words in capitals stand for your own values.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>Copy %n URLs</source>
        <comment>Copy URL</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>Copy &amp;URLs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy &amp;events</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy URLs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy address</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy as command</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy as cur&amp;l</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy as curl</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy events</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy identifier</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy the selected events, or all that are shown</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>DNS</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Dark</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Data</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delayed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>Delete %n transfers and their files?</source>
        <comment>Delete this transfer and its file?</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>Deliver the selected fetch or push once more</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delivery to “{name}”</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Description</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Details</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Discretionary</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Document</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Done</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Done: stored as {place}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Done: {instead}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Download</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Download folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Downloading</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Downloads that a push or fetch begins</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>EB</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>ETags changed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Earlier pushes</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Edit…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Else they always come, and the ledger says what a phone would have done.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ended</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Error</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Event</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Events</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Every 30 minutes</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Every 6 hours</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Every day</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Every hour</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Every transfer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Everything is stored; idle connections are closed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Export events</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Export…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Failed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Failed: {message}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Fetch</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Fetch handler</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Fetch in the background</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Fetches and pushes, and what was said to them</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Fetches {every}, while the app is in the background.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>File</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Files</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Files that were deleted cannot be brought back.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Files to upload</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Files, one path a line</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Filter</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Filter the events</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Final URL</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Finish and invalidate</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Finished</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Fit</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Flush</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Folder for the downloads</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Follow redirects from https to http</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>For an address that has expired: what is stored is kept where the new one has the same file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>For one file: auto, or 1 to 8</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>For {name}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Foreground</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>GB</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>General</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Go on</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>Go on (%n new)</source>
        <comment>Go on (1 new)</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>Go on without a window</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Go on without a window when the app dies</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Granted</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Groups and sessions</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>HTTP errors</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>HTTP status</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>HTTP {status}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Handler</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Handler {handler_id}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Handler {handler} ended after {seconds:.1f} s: {result}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Handler {handler} ran out of time after {seconds:.1f} s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Headers</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Held</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Here</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>High</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Hold fetches and pushes by hand to the limits, too</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Hold new events back</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Host</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Host, Accept, Accept-Encoding and User-Agent, and Range or Cookie where needed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>How the app behaves</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>IETF draft</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Identifier</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Inside: {title}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Into the folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Invalidate and cancel…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It calls itself “{realm}”.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It says: “{said}”.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Its cookies, the passwords of ended transfers and parts of files that no transfer knows are forgotten. Transfers and finished files stay.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Its state, and the settings of the push channel</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keep in the tray</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keep the computer awake while transfers run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keep them</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keep transferring</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keep transferring in the tray</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keep transferring in the tray?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Kind</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Kind of event</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Last activity</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Leave it out</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Leave them out</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Less</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Let the app look for new content now, as in the background</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Light</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Listeners hear nothing while the app is suspended; transfers go on</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Lists and pushes (*.txt *.lst *.json)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Lives</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Lo&amp;w priority</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Longest file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Low</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>MB</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>May download from</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>May pushes download from {host}?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Megabytes per second for each transfer; 0 is no limit:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Metered networks</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Method</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Minimum interval of background fetches</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Mirrors</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Mirrors fit one address only.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Mirrors need a SHA-256 checksum, or your word that they have the same file.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>More</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Move in queue</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Move to the back of the queue</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Move to the front of the queue</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Movie</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Movie to upload</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>N&amp;ormal priority</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Name</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Name of the file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Name: value, one a line</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Names of files, which a locked screen shows as well</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Names of headers that another server gets after a redirect, too</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Network</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Network simulation: {words}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Never</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Never mind</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>New random topic</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>New transfer here…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Next fetch in {time}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No active transfers</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No answer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No fetch and no push yet. “Background fetch” and “Silent push” above try one out.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No fetch comes by itself.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No file can have that name everywhere; “{name}” would do.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No file manager was found.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No limit</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No network</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No program here opens this kind of file.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No program here plays it; download it first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No timings yet. They come with the end of an attempt.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No: {not_resumable}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>None</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>None came</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>None yet</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Normal</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Not known before the server answers</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Not told by the server</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Note</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Note in a finished file where it came from</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing can be stored in {existing}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing is being transferred. Add an address, or drop a link here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing was measured in the last five minutes.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Notification (in the window): {text}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Notification: {text}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Notifications</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Now {now}, average {average}, highest {highest}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>One is kept; type another to replace it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>One path a line; files can be dropped on the window, too</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Online</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Online, metered</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a l&amp;ist or push…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a list of addresses or a push</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open the selected push in the composer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open {name}?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Opening a file of this kind can run a program. Open it only if you trust where it came from.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Other addresses of the same file, used at the same time</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Others are asked about at their first push</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Own authorities</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>PB</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Pages</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Parts</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Password</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Past: {title}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Pause</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Pause or resume</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Pause the selected transfers, or all that are shown</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Paused</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Payload, JSON</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Picture</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Picture of the video</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Picture, {width} by {height} pixels</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Pictures cannot be shown now.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Plain: a pause starts over</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Play</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Policy</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Preview</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Priority</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Private hosts</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Progress</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Properties</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Properties of a session</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Protocol</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Proxy</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Push</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Push &amp;channel…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Push channel</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Push channel connected</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Push channel connecting</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Push channel off</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Push channel on. Whoever knows this address can push: {address}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Push channel refused: {reason}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Push channel waiting: {reason}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Push handler</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Queued</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Quiet while the window has the focus. All that was ever told is in All events.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Quit</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Quit Transfermon?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Quitting with transfers</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Rates of downloads and uploads</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Re&amp;move from the list</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Re&amp;try</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Re&amp;try all failed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Reading the file…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Receive pushes from an ntfy server</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Receive pushes from ntfy while this is on</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Receiving</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Redirected</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Redirects to http</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Refresh</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Refused</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remaining</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remember my choice</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remote notifications (silent push)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remove and &amp;delete the file…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remove and delete file…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remove from list</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Request</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Request headers, one a line</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Reset</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Reset {key}?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Reset…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Response</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Resumable</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Resumable, IETF draft</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Resumable, tus 1.0</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Resume</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Resume the selected transfers, or all that are shown</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Resuming</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Retry</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Retry with a &amp;new URL…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Retry with a new URL</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Retry with a new URL…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Running</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>SHA-256</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>SHA-256 checksum</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save path</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save what is shown as NDJSON</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Saved as {path}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Saving</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Search</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Search videos</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Select &amp;all shown</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Select a transfer to see its file.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Select one transfer to see its details.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Send</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Send again</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Send along</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Send files to an address</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Send no Content-Type</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Sending</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Sent along</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Sent, not confirmed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Server</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Session</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Session handler</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Session “{name}”</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Sessions</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Settings</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Several files need an address that ends with “/”, so that each gets its own name there.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show in &amp;folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show in folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show the picture at 100 %</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show the picture at 100 %, or fitted</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Sign in</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Silent push</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Silent push, by hand</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Silent, flat</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Silent, with aps</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Size</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Sleep</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Some addresses were not added.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Some files were not added.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Something went wrong inside the app; the details are in its log.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Sound</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Source</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Speed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Speed limit</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Speed limit…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Speed of the last five minutes</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>Start %n now</source>
        <comment>Start now</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>Start after the others of the same priority</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Start at login</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Start before the others of the same priority</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Start hidden in the tray</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Start now</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Start the &amp;demo</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Start the demo</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Started</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Starts in {left}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>State</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>State folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>State of the push channel</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Status</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Still transferring</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop all transfers and quit</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop, and go on at the next start</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stored as</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Suspended</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>TB</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>TLS</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>TLS keys</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Task</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Task id</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Task {task_identifier}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tell of</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Template</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Text; JSON is sent as application/json</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>That is too much for a body: put it into a file and upload that.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The SHA-256 that the file should have; leave it empty to see the one it has:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The answer is shown, not saved as a file.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The app cannot be started at login: {strerror}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The app is awake again; what ended meanwhile is told now.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The app is suspended: transfers go on, listeners hear nothing until it wakes.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The background mode “fetch” is off.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The checksum is another: this is not the same file.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The checksum is right.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The connection is not encrypted: others on the way can read the password.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The cookies cannot be used.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The demo could not be started.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The desktop&apos;s folder for downloads</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The download folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The file cannot be read: {strerror}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The file could not be written: {strerror}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The file is no longer where it was saved.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The file is no longer where it was.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The file is not text.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The file is too large for a list of addresses or a push.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The folder does not exist.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The journal of the selected transfer, one JSON object a line</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The last ones were not accepted.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The list has more than {most_links} lines; split it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The list of transfers, the journal and the secrets, readable for you alone.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The mirrors have the same file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The movie is not at this server; download it to play it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The network is not as it seems. Click to end the simulation.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The new address of the same file:</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>The other %n finished</source>
        <comment>The other 1 finished</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>The payload is delivered to this app as a silent push. Nothing leaves this computer.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The picture cannot be read; choose another.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The picture cannot be stored.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The proxy {authority}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The push channel changed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The push channel needs a server.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The push shows its text and wakes nobody.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The server has no videos yet.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The server&apos;s name; another for a single address</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The session cannot be used.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The session ends. Finished files stay; what is under way is lost.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The session was reset.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The session&apos;s download folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The setting applies now but could not be saved: {strerror}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The video is announced to the server.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The video is at the server.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The wake ledger changed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The window closes and the transfers go on. A click on the icon in the tray brings it back.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The “aps” of a background push has no “{name}”, not even an empty one.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Theme</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Then {method}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>There is news.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>There is no address in this file.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>There is no file “{name}”.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>There is no link on the clipboard.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This desktop has no tray now: the app starts as a minimised window.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This file is neither a list of addresses, one a line, nor a push with content-available.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This is not an ordinary file.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This picture is damaged and cannot be shown.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This picture is too large to show here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This picture takes too long to show.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This run only</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This time</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This transfer has no file of its own.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This transfer has not finished.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Time</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Time for a transfer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Time left</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Time without a byte</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Timing</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Title</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>To the back</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>To the front</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Token</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Toolbar</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Topics</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Transfer failed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Transfer finished</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Transfermon crashed the last time</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Transfermon {number}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Transfers</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Transfers at a time</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Transfers failed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Transfers finished</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Try the failed ones of the selection again, or all that are shown</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Type the address of a VideoFarm server above, or start the demo (menu Help).</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>URL</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Undo</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Until it works</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Upload</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>Upload %n now</source>
        <comment>Upload now</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>Upload a video</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Upload files</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Upload now</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Upload progress</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Uploading</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Uploading to {server}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Uploading; it goes on when this is closed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Upload…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Use it for other transfers from there, until the app ends</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>User name</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Usual columns</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Validators</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Verdict</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Verify</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Verify checksum</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Verify checksum…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>VideoFarm</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>VideoFarm server</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Videos</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Waiting</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Waiting for a network</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Waiting for its time</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Waiting to retry</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Waiting: {said}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Waiting: {waiting_reason}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Wake</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Wake ledger</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Wake ledger: {kind} {verdict}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Warning</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Welcome back</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What became of it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What ended within a few seconds, together</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What happened</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What is known about it is in {report}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What is there now is not the file of this transfer.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What is wrong with it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Why</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>With “aps”, “{name}” beside it is an ordinary custom field.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Without a network</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Without the app</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Without “content-available”: 1 nothing is woken and no silentpush arrives.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Without “content-available”: 1, not {given} nothing is woken and no silentpush arrives.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Write a push payload and deliver it to this app</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Yes</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Yes, but nothing was kept</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Yes: its start and end are compared</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Yes: the server keeps what it has got ({protocol})</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Yes: the server sends a date</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Yes: the server sends an entity tag</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>active</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>answers {status}</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>answers {status} %n times</source>
        <comment>answers {status} once</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>are saved as they are</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>as long as the app runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>automatic</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>by hand</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>by the timer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>due in {time}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>ended</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>error {code}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>every {time} at most</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>fail the transfer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>failed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>fails</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>followed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>from the first address</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>from {mirror}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>host:port, one a line, that pushes may reach although private</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>https://…   a VideoFarm server</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>https://…   asked for new videos by a fetch</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>https://…   one address a line, or any text with links</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>https://…   with “/” at the end each file&apos;s name is added</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>iOS would not have done so now: {policy}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>kB</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>never delivered</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>new data</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>no</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>no data</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>no new data</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>none</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>not used</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>nothing</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>now</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>off</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>offline</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>on an open connection</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>open, {time} left</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>ran out of time</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>refused</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>retrying in {time}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>takes no more transfers</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>the app ended before its handler did</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>the system&apos;s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>under 1 ms</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>until it is invalidated</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>used</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>waits</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>written nowhere</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>yes</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{attempt}, {restarts} from the start again</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{days} d {hours} h</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{done} of {total} ({percent})</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>{every}, %n overruns counted</source>
        <comment>{every}, 1 overrun counted</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>{existing} is a file, not a folder.</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>{failed} of %n transfers failed while you were away</source>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>{failed} of {all} transfers failed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{held} of {most}, as browsers have</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{held} of {most}, the session&apos;s number</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{held} of {most}: its small files come quickly</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{held} of {most}: the server said that more are too many ({status})</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{hours} h {minutes:02} min</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{kind} {number} added: {url}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{minutes} min</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} cancelled</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} delayed. {reason}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} delivered by hand. iOS would not have done so now: {policy}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} delivered.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} does without the mirror {mirror}: {reason}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} done</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} done (HTTP {status})</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} downloaded</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} downloaded to {location}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} failed: {reason}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} goes on at {progress}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} held. {reason}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} refused. {reason}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} removed from the list</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} removed from the list and its file deleted</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} starts from zero</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} waits for a network</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name}: {progress} sent</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name}: {rate}, {latency:.0f} ms</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{number:,.0f} ms</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{number:.1f} s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{outstanding} not done, {completed} finished, {failed} failed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{percents} are there</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{protocol}, at {server}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{rate}, now</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{rate}, {left} left</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{rate}, {time} ago</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{seconds} s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{session} cancels its tasks and ends</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{session} ended</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{session} ends with its last task</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{session} has nothing left to do: {completed} done, {failed} failed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{session} opened</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{session}: all stored events were delivered</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{session}: stored events are delivered</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{share:.3g} % lost</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{shown} of {there}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{shown} of {videos}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{size} so far, still arriving</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{size}/s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{time} left</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{title} begins</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{title} ends</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{used:.1f} of {budget:.0f} s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{videos}, looked at {time}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{what} after {seconds:.1f} s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{what} in {session}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{when}; {every}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{who} asks for a user name and password.</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>{words}, %n events</source>
        <comment>{words}, 1 event</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>{words}; click to switch it on</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>“download_url” leads to a private address; a push may not, unless a setting allows the host.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>“{host}” is no host; write a name, or name:port.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>“{host}” needs its port, as in {host}:443.</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>“{keep}” lets them go on now, without a window.</source>
        <comment>“{keep}” lets it go on now, without a window.</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>“{line}” is not a header; write Name: value.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>“{name}” is a field of the event itself; yours stays readable in “payload” only.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>“{name}” is a folder; pack it into one file first, or choose the files in it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>“{name}” is written “content-available”.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>“{path}” was not deleted: it is not the file that was downloaded, or it cannot be deleted.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>“{topic}” is no topic: letters, digits, - and _, at most 64.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>•••••• (hidden)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>… and {count} more.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>… and {more} more</source>
        <translation type="unfinished"></translation>
    </message>
</context>
</TS>
