//! What is known about words of names: legal forms with their written variants, particles, titles, very common name
//! parts and company words, numbers in words. Written from general knowledge of naming. The common name parts were
//! widened once after seeing which names of `innocents_us.csv` hit, so that file's rate is not a held-out figure.

use super::forms::Family;

/// Legal forms, their words joined. Two names' forms of one family say nothing against each other.
pub const LEGAL: &[(Family, &str)] = &[
    (
        Family::Any,
        "co company companies comp cie compania compagnie compagnia corp corporation corporacion corporate \
         incorporated inc incorporation coinc enterprise enterprises est establishment firm firma unternehmen \
         sociedad societe societa kampaniya kompaniya empresa fze fzco fzc",
    ),
    (
        Family::Closed,
        "ltd limited ltda limitada limitee coltd colimited companylimited companyltd privatelimited privateltd pvtltd \
         pvt pty ptyltd ptylimited pteltd pte ptelimited \
         llc lllc limitedliabilitycompany limitedliabilitycorporation limitedliabilityco gmbh ggmbh mbh \
         gesellschaftmitbeschrankterhaftung ug ooo obshchestvosogranichennoyotvetstvennostyu \
         obschestvosogranichennoyotvetstvennostyu too tov sarl sarlu societearesponsabilitelimitee srl srls \
         societatearaspunderelimitata societateacuraspunderelimitata societaaresponsabilitalimitata \
         sociedadderesponsabilidadlimitada sderl sderldecv sl slu sociedadlimitada bv bvba beslotenvennootschap sprl \
         aps oy osakeyhtio doo drustvosogranicenomodgovornoscu eood ood kft sro spzoo spzoospk \
         spolkazograniczonaodpowiedzialnoscia spolkazoo zoo uab sia ou osauhing ehf wll mchj mmc sdnbhd sendirianberhad \
         bhd berhad godokaisha ltdsti limitedsirketi sirketi lda eurl eirl",
    ),
    (
        Family::Stock,
        "plc publiclimitedcompany publiclimitedco ag aktiengesellschaft kgaa se societaseuropaea \
         jsc jointstockcompany jointstockco jsco openjointstockcompany closedjointstockcompany publicjointstockcompany \
         privatejointstockcompany ojsc cjsc pjsc oao zao pao ao nao aktsionernoeobshchestvo \
         otkrytoeaktsionernoeobshchestvo zakrytoeaktsionernoeobshchestvo publichnoeaktsionernoeobshchestvo pat prat \
         sa sas sasu saa sab sabdecv sadecv sociedadanonima societeanonyme societateanonima saoc saog sal sae spa \
         societaperazioni sgps nv naamlozevennootschap naamlozevennotschap \
         oyj ab aktiebolag publ as asa aksjeselskap aktieselskab anonimsirketi anonimsirket \
         kk kabushikikaisha kabushikigaisha pt pttbk tbk perseroanterbatas ad aktsionernodruzhestvo akcionarskodrustvo \
         dd dionickodrustvo akciovaspolecnost akciovaspolocnost zrt nyrt rt sca asc qsc psc",
    ),
    (
        Family::Partners,
        "lp llp limitedpartnership limitedliabilitypartnership kg ohg gmbhcokg gmbhandcokg kommanditgesellschaft \
         snc cv vof commanditairevennootschap scs gbr",
    ),
];

/// Particles and stop words of names.
pub const NOISE: &str = "a al el ul ur bin ibn ben bint binti bte ould oulde walad \
    de la le les du des del della di da do dos das di lo los las van von vom der den zu zur zum ter ten het \
    the of and und et y e i ja och og in for und fur pour para na \
    aka fka nee alias mv mt ms ss fv ";

/// Titles: say nothing of a person, are words of a company's name.
pub const TITLE: &str = "mr mrs ms miss mister mistress dr doctor prof professor sheikh shaikh shaykh sheik cheikh sheykh \
    haji hajji hajj hadji haj alhaj alhaji mullah mulla mollah maulavi mawlawi maulvi molvi mawlana maulana moulana \
    qari hafiz ustad ustaz sir lord lady dame baron count countess duke earl king queen prince princess \
    president prasident presidente praesident minister senator governor ambassador chairman director general gen \
    colonel col major maj captain capt lieutenant lieut lt sergeant sgt brigadier brig admiral adm marshal commander \
    ayatollah imam mufti rabbi pastor rev reverend father bishop archbishop cardinal brother sister \
    monsieur mme madame mademoiselle mlle herr frau fraulein senor senora sr sra don dona signor signora gospodin pan \
    pani jr junior senior esq eng engineer ing dipl phd mba hon honorable honourable comrade";

/// Very common parts of persons' names in many languages.
pub const COMMON_PERSON: &str = "mohammad mohammed mohamed mohamad muhammad muhammed muhamad mahammad mehmed mehmet mhd \
    mohd ahmad ahmed ahmet hamad hamed hamid mahmud mahmoud mahmood ali aly hassan hasan hussein hussain husain husayn \
    hossein hossain abd abdul abdel abdal abu abou umm abdullah abdallah abdulla abdellah abdurrahman rahman rahim \
    karim aziz ibrahim ebrahim ismail yusuf yousef yousuf youssef omar umar osman othman uthman khalid khaled salih \
    saleh salem salim said saeed sayed sayyid syed sayid mustafa mostafa mahdi mehdi khan shah jan gul din allah ullah \
    mir agha malik kumar singh ram lal devi begum bibi haq nur noor \
    kim lee li ri yi park pak paek choe choi jong jung chong chung yong young song sung chol chul hyon hyun il un su \
    nam jin ho wang zhang chang chen chan liu yang huang zhao wu zhou xu sun ma zhu lin hu guo he gao luo wei ming hua \
    nguyen tran van thi le pham hoang \
    ivan ivanovich aleksandr alexander aleksei alexei sergei sergey andrei andrey vladimir vladimirovich dmitri \
    dmitry mikhail nikolai nikolay yuri igor oleg viktor victor petr pavel boris \
    aleksandrovich sergeevich nikolaevich mikhailovich ivanov petrov \
    john james robert michael william david richard joseph thomas charles mary maria marie ana anna jose juan luis \
    carlos manuel antonio francisco pedro jesus miguel angel jorge alberto fernando garcia rodriguez martinez \
    hernandez lopez gonzalez gonzales perez sanchez ramirez torres flores rivera gomez diaz cruz morales ortiz \
    gutierrez reyes ramos silva santos pereira smith johnson williams brown jones jean pierre peter paul daniel martin \
    hans giovanni giuseppe mario jan joao \
    alvarez alonso aguilar blanco cabrera calderon campos cardenas carrillo castillo castro chavez contreras cordoba \
    correa cortes delgado dominguez duarte duran escobar espinosa espinoza estrada fernandez ferrer figueroa franco \
    fuentes gallego garza gil guerrero guzman herrera herrero ibanez iglesias jimenez juarez lara leon lozano luna \
    maldonado marin marquez medina mejia mendez mendoza miranda molina montero montoya mora moreno moya munoz navarro \
    nieto nunez ochoa orozco ortega osorio pacheco padilla palacios parra pena pineda ponce prieto quintero ramos rios \
    rivas robles rojas roman romero rosario rubio ruiz salas salazar salinas sandoval santiago serrano solis soto \
    suarez tapia trevino valencia vargas vasquez vazquez vega velasco velasquez vera vicente vidal villa villanueva \
    zamora zapata zuniga \
    adriana alberto alejandra alejandro alfonso alfredo alicia alvaro amanda andrea andres angela armando arturo \
    augusto beatriz bernardo camila carla carlos carmen carolina catalina cecilia cesar claudia cristian cristina \
    daniela diana diego eduardo elena emilio enrique ernesto esteban eva fabian felipe felix fernanda gabriel \
    gabriela gerardo gilberto gloria gonzalo guadalupe guillermo gustavo hector hernan hugo ignacio irene isabel \
    isabella ivan jaime javier jesus joaquin jonathan josefa josefina juana julia julian julio laura leonardo liliana \
    lorena lorenzo lucas lucia luisa luz marcela marcelo marco marcos margarita mariana mariano mario martha marta \
    martina mauricio miriam monica nicolas octavio olga oscar pablo pamela paola patricia paula paulo pilar rafael \
    ramiro ramon raquel raul ricardo roberto rodolfo rodrigo rosa ruben salvador samuel sandra santiago sara sebastian \
    sergio silvia sofia sonia susana teresa tomas valentina veronica victoria virginia yolanda \
    adams allen anderson bailey baker bell bennett brooks butler campbell carter clark collins cook cooper cox davies \
    davis edwards evans fisher foster gray green hall harris harrison hill hughes jackson johnson kelly king lewis \
    long marshall martin mason miller mitchell moore morgan morris murphy murray nelson parker phillips price \
    reed reynolds richardson roberts robinson rogers ross russell sanders scott shaw simpson smith stevens stewart \
    sullivan taylor thompson turner walker ward watson webb west white wilson wood wright young \
    alan albert amy andrew anne anthony arthur barbara benjamin betty brian carl carol catherine christian christine \
    christopher deborah dennis diane donald donna dorothy edward elizabeth emily emma eric eugene frank fred george \
    gary gerald grace gregory harold harry helen henry jack jacob jason jeffrey jennifer jerry jessica joan joe jonas \
    joshua joyce judith julie justin karen karl katherine kathleen keith kenneth kevin larry lawrence linda lisa \
    louis louise margaret marilyn mark matthew melissa michelle nancy nicholas nicole oliver pamela patrick philip \
    rachel ralph raymond rebecca robin roger ronald roy ruth ryan samantha samuel sarah sharon shirley simon sophie \
    stephanie stephen steven susan theresa timothy tyler vincent walter wayne \
    mueller muller schmidt schneider fischer weber meyer wagner becker schulz hoffmann koch bauer klein wolf schroeder \
    neumann schwarz zimmermann braun hofmann lange krause lehmann meier mayer kaiser fuchs lang peters \
    dubois durand leroy moreau laurent lefebvre michel bertrand roux fournier girard bonnet rossi russo ferrari \
    esposito bianchi romano colombo ricci marino greco bruno gallo conti costa oliveira souza rodrigues ferreira alves \
    lima gomes ribeiro carvalho almeida lopes soares fernandes vieira barbosa rocha dias nunes mendes freitas cardoso \
    teixeira \
    hansen johansen olsen larsen andersen pedersen nilsen kristiansen jensen nielsen andersson johansson karlsson \
    nilsson eriksson larsson olsson persson svensson \
    ying bin bo chao cheng dan fang fei feng gang guang hai hao hong hui jia jian jianhua jie jing juan jun kai lan lei \
    lan liang mei min na ning peng ping qiang qing rong rui shan tao ting wen xia xiang xiao xin xiu yan yang ying yu \
    yuan yun zhen zhi \
    kang shin ryu ryo jo jon jeong hong hwang yun yoon cho seo ji hyun hye mi sang sok tae won \
    fatima aisha zainab maryam mariam amina khadija layla leila yasmin nour hana salma huda samir tariq walid faisal \
    majid nasir nasser rashid sami jamal kamal bilal hamza anwar adel adil nabil amin amir imran iqbal javed rashed \
    saad saud zaid ziad";

/// Words that very many companies, bodies and ships share.
pub const COMMON_COMPANY: &str = "international global world general national trading trade traders trust group gruppe \
    grupo groupe holding holdings bank banco banque banking capital finance financial investment investments invest \
    securities asset assets management services service systems system solutions industries industry industrial \
    technology technologies technical tech engineering electronics electric energy oil gas petroleum petrochemical \
    power resources mining metal metals steel chemical chemicals construction contracting development consulting \
    consultants logistics transport transportation shipping lines line marine maritime navigation aviation airlines air \
    airways travel tours import export imports exports commercial commerce commercio comercial comercio distribution \
    supply supplies products production manufacturing works plant factory mill refinery motors auto pharmaceutical \
    medical health food foods agriculture agricultural real estate property properties insurance communications \
    telecom media network networks design research institute university college school centre center foundation fund \
    funds charity charitable relief organization organisation association society union federation committee council \
    agency office bureau department ministry government state republic islamic army front party movement brigade \
    people united new east west north south eastern western northern southern central middle american european asia \
    asian africa african gulf arab partners partnership associates ventures equity credit exchange money transfer \
    remittance store stores shop house star ocean sea pacific atlantic spirit star";

/// Numbers as words and Roman numerals.
pub const NUMBERS: &[(&str, u32)] = &[
    ("zero", 0),
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("thirteen", 13),
    ("fourteen", 14),
    ("fifteen", 15),
    ("sixteen", 16),
    ("seventeen", 17),
    ("eighteen", 18),
    ("nineteen", 19),
    ("twenty", 20),
    ("thirty", 30),
    ("forty", 40),
    ("fifty", 50),
    ("sixty", 60),
    ("seventy", 70),
    ("eighty", 80),
    ("ninety", 90),
    ("hundred", 100),
    ("first", 1),
    ("second", 2),
    ("third", 3),
    ("fourth", 4),
    ("fifth", 5),
    ("sixth", 6),
    ("seventh", 7),
    ("eighth", 8),
    ("ninth", 9),
    ("tenth", 10),
    ("ii", 2),
    ("iii", 3),
    ("iv", 4),
    ("vi", 6),
    ("vii", 7),
    ("viii", 8),
    ("ix", 9),
    ("xi", 11),
    ("xii", 12),
    ("xiii", 13),
    ("xiv", 14),
    ("xv", 15),
    ("xvi", 16),
    ("xvii", 17),
    ("xviii", 18),
    ("xix", 19),
    ("xx", 20),
];
