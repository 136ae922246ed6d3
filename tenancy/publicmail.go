package tenancy

// PublicMailDomain reports whether anybody can get an address at the domain, so that
// no organization can claim it as its own (SEMANTICS 1.2.6). name is as [ParseDomain]
// returns it.
//
// The list is of the large providers. A small one that is missing does no harm until an
// operator says in so many words that it belongs to an organization.
func PublicMailDomain(name string) bool {
	switch name {
	case
		// Google, Microsoft, Yahoo, Apple
		"gmail.com", "googlemail.com",
		"outlook.com", "outlook.de", "outlook.fr", "outlook.es", "outlook.it", "outlook.jp",
		"hotmail.com", "hotmail.co.uk", "hotmail.de", "hotmail.es", "hotmail.fr", "hotmail.it",
		"live.com", "live.co.uk", "live.de", "live.fr", "live.it", "live.nl", "msn.com", "passport.com",
		"yahoo.com", "yahoo.co.in", "yahoo.co.jp", "yahoo.co.uk", "yahoo.ca", "yahoo.com.au", "yahoo.com.br",
		"yahoo.de", "yahoo.es", "yahoo.fr", "yahoo.in", "yahoo.it", "ymail.com", "rocketmail.com", "myyahoo.com",
		"icloud.com", "me.com", "mac.com", "privaterelay.appleid.com",
		// independent and private ones
		"proton.me", "protonmail.com", "protonmail.ch", "pm.me", "tutanota.com", "tutanota.de", "tuta.io", "tuta.com", "tutamail.com",
		"fastmail.com", "fastmail.fm", "hey.com", "hushmail.com", "mailbox.org", "posteo.de", "runbox.com", "startmail.com",
		"zoho.com", "zohomail.com", "zohomail.eu", "mail.com", "email.com", "gmx.com", "gmx.de", "gmx.net", "gmx.at", "gmx.ch", "gmx.fr", "web.de",
		"aol.com", "aim.com", "duck.com", "simplelogin.com", "inbox.com", "lycos.com", "yandex.com", "yandex.ru", "ya.ru",
		"mail.ru", "bk.ru", "inbox.ru", "list.ru", "rambler.ru", "ukr.net", "i.ua", "seznam.cz", "email.cz", "centrum.cz", "wp.pl", "o2.pl", "onet.pl", "interia.pl",
		// of Internet providers
		"freenet.de", "t-online.de", "arcor.de", "orange.fr", "wanadoo.fr", "free.fr", "laposte.net", "sfr.fr",
		"libero.it", "virgilio.it", "tiscali.it", "alice.it", "tin.it", "btinternet.com", "sky.com", "ntlworld.com", "virginmedia.com", "talktalk.net",
		"comcast.net", "verizon.net", "att.net", "sbcglobal.net", "bellsouth.net", "cox.net", "charter.net", "earthlink.net", "optonline.net", "juno.com",
		"rogers.com", "shaw.ca", "sympatico.ca", "bigpond.com", "optusnet.com.au", "telenet.be", "skynet.be", "ziggo.nl", "kpnmail.nl", "xs4all.nl", "bluewin.ch",
		// elsewhere
		"qq.com", "foxmail.com", "163.com", "126.com", "yeah.net", "sina.com", "sina.cn", "sohu.com", "aliyun.com", "139.com",
		"naver.com", "daum.net", "hanmail.net", "kakao.com", "docomo.ne.jp", "ezweb.ne.jp", "softbank.ne.jp",
		"rediffmail.com", "uol.com.br", "bol.com.br", "terra.com.br", "ig.com.br",
		// thrown away after use
		"mailinator.com", "guerrillamail.com", "10minutemail.com", "yopmail.com", "trashmail.com", "sharklasers.com", "temp-mail.org":
		return true
	default:
		return false
	}
}
