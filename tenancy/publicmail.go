package tenancy

import "strings"

// PublicMailDomain reports whether anybody can get an address at the domain, so that
// no organization can claim it as its own (SEMANTICS 1.2.6). name is as [ParseDomain]
// returns it. What is below a public domain is public too: providers give such addresses
// away (vip.qq.com), and whoever runs gmail.com is no organization here.
//
// The list is of the large providers. A small one that is missing does no harm until its
// owner proves it by DNS, or an operator says in so many words that it belongs to an organization.
func PublicMailDomain(name string) bool {
	for {
		if publicMail(name) {
			return true
		}
		_, parent, ok := strings.Cut(name, ".")
		if !ok {
			return false
		}
		name = parent
	}
}

func publicMail(name string) bool {
	switch name {
	case
		// Google
		"gmail.com", "googlemail.com",
		// Microsoft
		"outlook.com", "outlook.at", "outlook.be", "outlook.bg", "outlook.cl", "outlook.co.id", "outlook.co.il", "outlook.co.th", "outlook.com.ar",
		"outlook.com.au", "outlook.com.br", "outlook.com.gr", "outlook.com.hr", "outlook.com.pe", "outlook.com.tr", "outlook.com.vn", "outlook.cz",
		"outlook.de", "outlook.dk", "outlook.es", "outlook.fr", "outlook.hu", "outlook.ie", "outlook.in", "outlook.it", "outlook.jp", "outlook.kr",
		"outlook.lv", "outlook.my", "outlook.ph", "outlook.pt", "outlook.sa", "outlook.sg", "outlook.sk",
		"hotmail.com", "hotmail.at", "hotmail.be", "hotmail.ca", "hotmail.ch", "hotmail.cl", "hotmail.co.id", "hotmail.co.il", "hotmail.co.in",
		"hotmail.co.jp", "hotmail.co.kr", "hotmail.co.nz", "hotmail.co.th", "hotmail.co.uk", "hotmail.co.za", "hotmail.com.ar", "hotmail.com.au",
		"hotmail.com.br", "hotmail.com.hk", "hotmail.com.mx", "hotmail.com.tr", "hotmail.com.tw", "hotmail.com.vn", "hotmail.cz", "hotmail.de",
		"hotmail.dk", "hotmail.es", "hotmail.fi", "hotmail.fr", "hotmail.gr", "hotmail.hu", "hotmail.it", "hotmail.jp", "hotmail.my", "hotmail.nl",
		"hotmail.no", "hotmail.ph", "hotmail.rs", "hotmail.se", "hotmail.sg", "hotmail.sk",
		"live.com", "live.at", "live.be", "live.ca", "live.ch", "live.cl", "live.cn", "live.co.kr", "live.co.uk", "live.co.za", "live.com.ar",
		"live.com.au", "live.com.mx", "live.com.my", "live.com.ph", "live.com.pt", "live.com.sg", "live.de", "live.dk", "live.fi", "live.fr",
		"live.hk", "live.ie", "live.in", "live.it", "live.jp", "live.nl", "live.no", "live.ru", "live.se",
		"msn.com", "passport.com", "windowslive.com",
		// Yahoo and AOL
		"yahoo.com", "yahoo.at", "yahoo.be", "yahoo.bg", "yahoo.ca", "yahoo.cl", "yahoo.co.id", "yahoo.co.il", "yahoo.co.in", "yahoo.co.jp",
		"yahoo.co.kr", "yahoo.co.nz", "yahoo.co.th", "yahoo.co.uk", "yahoo.co.za", "yahoo.com.ar", "yahoo.com.au", "yahoo.com.br", "yahoo.com.cn",
		"yahoo.com.co", "yahoo.com.hk", "yahoo.com.mx", "yahoo.com.my", "yahoo.com.pe", "yahoo.com.ph", "yahoo.com.sg", "yahoo.com.tr",
		"yahoo.com.tw", "yahoo.com.ve", "yahoo.com.vn", "yahoo.cn", "yahoo.cz", "yahoo.de", "yahoo.dk", "yahoo.es", "yahoo.fi", "yahoo.fr",
		"yahoo.gr", "yahoo.hu", "yahoo.ie", "yahoo.in", "yahoo.it", "yahoo.nl", "yahoo.no", "yahoo.pl", "yahoo.pt", "yahoo.ro", "yahoo.se",
		"ymail.com", "rocketmail.com", "myyahoo.com", "aol.com", "aol.co.uk", "aol.de", "aol.fr", "aol.it", "aim.com", "love.com", "games.com", "wow.com", "ygm.com",
		"netscape.net", "verizon.net", "compuserve.com",
		// Apple
		"icloud.com", "me.com", "mac.com", "privaterelay.appleid.com",
		// private and independent ones
		"proton.me", "protonmail.com", "protonmail.ch", "pm.me", "tuta.com", "tuta.io", "tutanota.com", "tutanota.de", "tutamail.com", "keemail.me",
		"fastmail.com", "fastmail.fm", "fastmail.net", "fastmail.org", "fastmail.de", "fastmail.jp", "fastmail.uk", "fastmail.us", "fastmail.in", "fastmail.cn", "fastmail.to",
		"fastmail.com.au", "fastmail.co.uk", "sent.com", "messagingengine.com", "hey.com", "hushmail.com", "hushmail.me", "hush.com", "mailbox.org", "posteo.de", "posteo.net", "posteo.org",
		"posteo.at", "posteo.ch", "posteo.eu", "runbox.com", "startmail.com", "countermail.com", "mailfence.com", "ctemplar.com", "disroot.org", "riseup.net", "autistici.org", "cock.li",
		"kolabnow.com", "migadu.com", "skiff.com", "onmail.com", "zoho.com", "zoho.eu", "zoho.in", "zohomail.com", "zohomail.eu", "zohomail.in",
		"duck.com", "simplelogin.com", "simplelogin.co", "slmail.me", "anonaddy.com", "anonaddy.me", "addy.io", "mozmail.com", "relay.firefox.com", "users.noreply.github.com",
		// GMX, web.de, mail.com and the names that it gives away
		"gmx.com", "gmx.de", "gmx.net", "gmx.at", "gmx.ch", "gmx.fr", "gmx.es", "gmx.it", "gmx.us", "gmx.co.uk", "gmx.eu", "gmx.info", "gmx.org", "gmx.li", "gmx.biz", "web.de", "email.de",
		"mail.com", "email.com", "usa.com", "europe.com", "asia.com", "consultant.com", "engineer.com", "post.com", "iname.com", "myself.com", "dr.com", "techie.com", "writeme.com",
		"cheerful.com", "accountant.com", "contractor.net", "workmail.com", "linuxmail.org", "caramail.com", "inbox.com", "lycos.com", "excite.com", "juno.com", "netzero.net", "mail2world.com",
		// Russia and its neighbours
		"yandex.com", "yandex.ru", "yandex.by", "yandex.kz", "yandex.ua", "yandex.uz", "yandex.fr", "yandex.com.tr", "ya.ru", "narod.ru", "mail.ru", "bk.ru", "inbox.ru", "list.ru",
		"internet.ru", "xmail.ru", "rambler.ru", "lenta.ru", "autorambler.ru", "myrambler.ru", "ro.ru", "mail.ua", "ukr.net", "i.ua", "meta.ua", "bigmir.net", "tut.by", "inbox.lv", "mail.ee", "hot.ee",
		// Central and eastern Europe
		"seznam.cz", "email.cz", "post.cz", "centrum.cz", "centrum.sk", "volny.cz", "atlas.cz", "azet.sk", "zoznam.sk", "pobox.sk", "wp.pl", "o2.pl", "tlen.pl", "onet.pl", "onet.eu", "op.pl",
		"interia.pl", "interia.eu", "poczta.fm", "gazeta.pl", "vp.pl", "freemail.hu", "citromail.hu", "indamail.hu", "abv.bg", "mail.bg", "dir.bg", "siol.net", "net.hr",
		// of Internet providers in Europe
		"freenet.de", "t-online.de", "arcor.de", "vodafone.de", "kabelmail.de", "online.de", "1und1.de", "alice-dsl.net", "unitybox.de", "a1.net", "aon.at", "chello.at", "bluewin.ch", "hispeed.ch", "sunrise.ch",
		"orange.fr", "wanadoo.fr", "free.fr", "laposte.net", "sfr.fr", "neuf.fr", "bbox.fr", "numericable.fr", "club-internet.fr", "voila.fr", "aliceadsl.fr",
		"libero.it", "virgilio.it", "tiscali.it", "alice.it", "tin.it", "tim.it", "fastwebnet.it", "inwind.it", "iol.it", "email.it", "poste.it", "pec.it", "terra.es", "telefonica.net", "ono.com", "sapo.pt",
		"btinternet.com", "btopenworld.com", "sky.com", "ntlworld.com", "virginmedia.com", "virgin.net", "blueyonder.co.uk", "talktalk.net", "tiscali.co.uk", "plus.net", "plusnet.com", "o2.co.uk",
		"eircom.net", "telenet.be", "skynet.be", "proximus.be", "scarlet.be", "ziggo.nl", "kpnmail.nl", "kpnplanet.nl", "planet.nl", "home.nl", "hetnet.nl", "xs4all.nl", "quicknet.nl", "casema.nl", "upcmail.nl", "chello.nl", "telfort.nl",
		"telia.com", "bredband.net", "comhem.se", "online.no", "tele2.se", "mail.dk", "ofir.dk", "jubii.dk", "luukku.com", "kolumbus.fi", "elisanet.fi", "otenet.gr",
		// of Internet providers in America
		"comcast.net", "xfinity.com", "att.net", "sbcglobal.net", "bellsouth.net", "pacbell.net", "ameritech.net", "swbell.net", "prodigy.net", "cox.net", "charter.net", "spectrum.net", "twc.com", "rr.com", "roadrunner.com",
		"earthlink.net", "mindspring.com", "optonline.net", "optimum.net", "centurylink.net", "centurytel.net", "embarqmail.com", "q.com", "frontier.com", "frontiernet.net", "windstream.net", "suddenlink.net", "cableone.net",
		"rogers.com", "shaw.ca", "telus.net", "sympatico.ca", "bell.net", "videotron.ca", "cogeco.ca", "eastlink.ca", "prodigy.net.mx", "uol.com.br", "bol.com.br", "terra.com.br", "ig.com.br", "globo.com", "globomail.com", "r7.com", "oi.com.br", "zipmail.com.br", "fibertel.com.ar", "arnet.com.ar", "speedy.com.ar", "ciudad.com.ar",
		// Asia, Africa, Oceania
		"qq.com", "foxmail.com", "163.com", "126.com", "yeah.net", "188.com", "netease.com", "sina.com", "sina.cn", "sina.com.cn", "sohu.com", "sogou.com", "tom.com", "21cn.com", "aliyun.com", "139.com", "189.cn", "wo.cn", "263.net", "2980.com",
		"naver.com", "daum.net", "hanmail.net", "kakao.com", "nate.com", "hanmir.com", "docomo.ne.jp", "ezweb.ne.jp", "softbank.ne.jp", "i.softbank.jp", "ymobile.ne.jp", "nifty.com", "biglobe.ne.jp", "ocn.ne.jp", "so-net.ne.jp", "plala.or.jp", "excite.co.jp", "infoseek.jp", "mail.goo.ne.jp",
		"hinet.net", "pchome.com.tw", "seed.net.tw", "netvigator.com", "singnet.com.sg", "streamyx.com", "rediffmail.com", "rediff.com", "sify.com", "indiatimes.com", "in.com", "walla.co.il", "walla.com", "netvision.net.il", "bezeqint.net", "mynet.com", "ttmail.com", "maktoob.com",
		"mweb.co.za", "telkomsa.net", "webmail.co.za", "vodamail.co.za", "bigpond.com", "bigpond.net.au", "optusnet.com.au", "iinet.net.au", "internode.on.net", "tpg.com.au", "dodo.com.au", "westnet.com.au", "ozemail.com.au", "xtra.co.nz", "slingshot.co.nz", "orcon.net.nz",
		// thrown away after use
		"mailinator.com", "guerrillamail.com", "guerrillamail.net", "guerrillamail.org", "guerrillamailblock.com", "grr.la", "sharklasers.com", "10minutemail.com", "yopmail.com", "yopmail.fr", "yopmail.net", "trashmail.com", "trashmail.de", "temp-mail.org", "tempmail.com",
		"throwawaymail.com", "maildrop.cc", "dispostable.com", "getnada.com", "mailnesia.com", "mintemail.com", "mohmal.com", "spamgourmet.com", "emailondeck.com", "fakeinbox.com", "getairmail.com", "discard.email", "burnermail.io", "33mail.com", "mailcatch.com", "moakt.com", "tempr.email", "wegwerfmail.de", "einrot.com", "byom.de":
		return true
	default:
		return false
	}
}
